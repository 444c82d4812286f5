SELECT session_user::text AS login, r.rolsuper AS superuser,
       concat_ws(' ', d.datcollate, nullif(d.datctype, d.datcollate)) AS collation,
       jsonb_build_object('version', coalesce(s.version, ''), 'cipher', coalesce(s.cipher, '')) AS tls,
       (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')) AS relations,
       (SELECT coalesce(sum(numbackends), 0)::int FROM pg_stat_database) AS connections,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true), '0')::int AS max_connections,
       CASE WHEN NOT r.rolsuper THEN least(nullif(r.rolconnlimit, -1), nullif(d.datconnlimit, -1)) END
         AS role_connections,
       pg_database_size(d.oid) AS database_bytes,
       ARRAY(SELECT extname::text FROM pg_extension ORDER BY 1) AS extensions,
       ARRAY(SELECT evtname::text FROM pg_event_trigger WHERE evtenabled <> 'D' ORDER BY 1) AS event_triggers,
       coalesce(nullif(pg_tablespace_location(d.dattablespace), ''),
                (SELECT setting FROM pg_settings WHERE name = 'data_directory'), '') AS place,
       coalesce((SELECT setting FROM pg_settings WHERE name = 'data_directory'), '') AS data_directory,
       extract(epoch FROM pg_postmaster_start_time())::bigint AS started,
       (SELECT jsonb_agg(jsonb_build_object('name', name, 'value',
                 CASE WHEN unit IS NULL OR reset_val IN ('0', '-1') THEN reset_val
                      WHEN unit ~ 'B$'
                        THEN pg_size_pretty(reset_val::bigint
                                            * pg_size_bytes(regexp_replace(unit, '^(?=\D)', '1')))
                      ELSE reset_val || ' ' || unit END) ORDER BY name)
          FROM pg_settings
         WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_session_timeout', 'transaction_timeout',
                        'idle_in_transaction_session_timeout', 'default_transaction_read_only',
                        'maintenance_work_mem', 'max_connections', 'max_locks_per_transaction', 'max_wal_size',
                        'wal_level', 'synchronous_commit', 'data_directory', 'TimeZone')) AS settings,
       -- What ALTER ROLE and ALTER DATABASE have set for the role that logged in, the strongest first.
       (SELECT coalesce(jsonb_agg(jsonb_build_object(
                 'name', split_part(c, '=', 1), 'value', substr(c, strpos(c, '=') + 1),
                 'where', CASE WHEN o.oid IS NULL THEN 'the database' WHEN w.oid IS NULL THEN 'the role'
                               ELSE 'the role in this database' END,
                 'reset', 'ALTER ' || concat_ws(' IN ', 'ROLE ' || quote_ident(o.rolname),
                                                'DATABASE ' || quote_ident(w.datname))
                          || format(' RESET %%I;', split_part(c, '=', 1)))
                 ORDER BY x.setrole = 0, x.setdatabase = 0, split_part(c, '=', 1)), '[]')
          FROM pg_db_role_setting x CROSS JOIN unnest(x.setconfig) c
          LEFT JOIN pg_roles o ON o.oid = x.setrole LEFT JOIN pg_database w ON w.oid = x.setdatabase
         WHERE (x.setrole = 0 OR o.rolname = session_user)
           AND (x.setdatabase = 0 OR w.datname = current_database())
           AND (x.setrole, x.setdatabase) <> (0, 0)) AS own_settings
  FROM pg_database d, pg_roles r LEFT JOIN pg_stat_ssl s ON s.pid = pg_backend_pid() AND s.ssl
 WHERE d.datname = current_database() AND r.rolname = current_user
