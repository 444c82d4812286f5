SELECT current_setting('server_version'), current_setting('server_version_num')::int, rolname::text,
       rolsuper, rolcreatedb, rolcreaterole
  FROM pg_roles
 WHERE rolname = current_user
