SELECT split_part(current_setting('server_version'), ' ', 1) AS version, current_database()::text AS database,
       current_user::text AS role, current_setting('server_encoding') AS encoding,
       s.oid IS NOT NULL AS schema_exists,
       coalesce(has_schema_privilege(s.oid, 'CREATE') AND has_schema_privilege(s.oid, 'USAGE'), false)
         AS may_create_in_schema,
       has_database_privilege(current_database(), 'CREATE') AS may_create_schemas,
       has_database_privilege(current_database(), 'TEMPORARY') AS may_make_temporary,
       pg_is_in_recovery() AS standby,
       (SELECT datcollate::text FROM pg_database WHERE datname = current_database()) AS collation,
       -- Columns of PostgreSQL 15 and 17.
       (SELECT CASE to_jsonb(d) ->> 'datlocprovider' WHEN 'i' THEN false WHEN 'b' THEN to_jsonb(d) ->> 'datlocale' = 'C'
                    ELSE d.datctype IN ('C', 'POSIX') END
          FROM pg_database d WHERE datname = current_database()) AS only_ascii,
       ARRAY(SELECT format('"%%s"."%%s"', replace(n.nspname, '"', '""'), replace(c.collname, '"', '""'))
               FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
              WHERE CASE c.collprovider WHEN 'c' THEN c.collctype IN ('C', 'POSIX')
                                        WHEN 'b' THEN to_jsonb(c) ->> 'colllocale' = 'C' END) AS ascii_collations,
       z.reset_val AS time_zone,
       -- Ours is a session in UTC.
       ARRAY(SELECT (extract(epoch FROM day AT TIME ZONE z.reset_val - day AT TIME ZONE 'UTC') / 60)::int
               FROM generate_series(date_trunc('year', now()), now() + interval '1 year', interval '6 months') day
              ORDER BY day LIMIT 2) AS utc_offsets,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true), '0')::int AS max_connections,
       coalesce((SELECT spcname::text FROM pg_tablespace
                  WHERE spcname = current_setting('default_tablespace')
                    AND NOT has_tablespace_privilege(oid, 'CREATE')), '') AS tablespace,
       EXISTS (SELECT FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) AS lz4,
       l.oid IS NOT NULL AS ledger_exists,
       coalesce(has_schema_privilege(l.oid, 'CREATE') AND has_schema_privilege(l.oid, 'USAGE'), false)
         AS ledger_usable,
       ARRAY(SELECT DISTINCT proname::text FROM pg_proc WHERE proname = ANY (%(functions)s)) AS functions,
       -- What no table or column may be called without quotes.
       ARRAY(SELECT word::text FROM pg_get_keywords() WHERE catcode IN ('R', 'T')) AS reserved,
       -- Kinds of object of which default privileges take something from their own maker.
       ARRAY(SELECT CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                                         WHEN 'T' THEN 'TYPES' ELSE 'SCHEMAS' END
               FROM pg_default_acl d JOIN pg_roles r ON r.oid = d.defaclrole
              WHERE r.rolname = current_user AND d.defaclnamespace = 0
                AND d.defaclobjtype IN ('r', 'S', 'f', 'T', 'n')
                AND EXISTS (
                      SELECT FROM aclexplode(acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's'
                                                                             ELSE d.defaclobjtype END, r.oid)) need
                       WHERE need.grantee = r.oid
                         AND NOT EXISTS (SELECT FROM aclexplode(d.defaclacl) has
                                          WHERE has.grantee IN (0, r.oid)
                                            AND has.privilege_type = need.privilege_type))
              ORDER BY 1) AS stripped
  FROM (SELECT reset_val FROM pg_settings WHERE name = 'TimeZone') z
  LEFT JOIN pg_namespace s ON s.nspname = %(schema)s
  LEFT JOIN pg_namespace l ON l.nspname = 'converge'
