SELECT current_setting('server_version'), current_database()::text, current_user::text,
       current_setting('server_encoding'),
       s.oid IS NOT NULL,
       coalesce(has_schema_privilege(s.oid, 'CREATE') AND has_schema_privilege(s.oid, 'USAGE'), false),
       has_database_privilege(current_database(), 'CREATE'),
       has_database_privilege(current_database(), 'TEMPORARY'),
       pg_is_in_recovery(),
       coalesce((SELECT spcname::text FROM pg_tablespace
                  WHERE spcname = current_setting('default_tablespace')
                    AND NOT has_tablespace_privilege(oid, 'CREATE')), ''),
       l.oid IS NOT NULL,
       coalesce(has_schema_privilege(l.oid, 'CREATE') AND has_schema_privilege(l.oid, 'USAGE'), false)
  FROM (VALUES (1)) one
  LEFT JOIN pg_namespace s ON s.nspname = %(schema)s
  LEFT JOIN pg_namespace l ON l.nspname = 'converge'
