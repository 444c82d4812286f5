-- Those that are there, and those that the role may make.
SELECT e.extname::text, n.nspname::text
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
UNION
SELECT v.name::text, ''
  FROM pg_available_extension_versions v, pg_roles r
 WHERE r.rolname = current_user AND v.name NOT IN (SELECT extname FROM pg_extension)
   AND (r.rolsuper OR (v.trusted OR NOT v.superuser) AND has_database_privilege(current_database(), 'CREATE'))
