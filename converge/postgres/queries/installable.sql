SELECT DISTINCT v.name::text
  FROM pg_available_extension_versions v, pg_roles r
 WHERE v.name IN ('citext', 'pg_trgm', 'postgis') AND r.rolname = current_user
   AND v.name NOT IN (SELECT extname FROM pg_extension)
   AND (r.rolsuper OR (v.trusted OR NOT v.superuser) AND has_database_privilege(current_database(), 'CREATE'))
 ORDER BY 1
