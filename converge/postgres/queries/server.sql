SELECT session_user::text, r.rolsuper,
       concat_ws(' ', d.datcollate, nullif(d.datctype, d.datcollate)),
       coalesce(s.version, ''), coalesce(s.cipher, ''),
       (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')),
       (SELECT coalesce(sum(numbackends), 0)::int FROM pg_stat_database),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true), '0')::int,
       CASE WHEN NOT r.rolsuper THEN least(nullif(r.rolconnlimit, -1), nullif(d.datconnlimit, -1)) END,
       current_setting('max_locks_per_transaction')::int
         * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int),
       pg_database_size(d.oid),
       ARRAY(SELECT extname::text FROM pg_extension ORDER BY 1),
       ARRAY(SELECT evtname::text FROM pg_event_trigger WHERE evtenabled <> 'D' ORDER BY 1),
       coalesce(nullif(pg_tablespace_location(d.dattablespace), ''),
                (SELECT setting FROM pg_settings WHERE name = 'data_directory'), ''),
       (SELECT coalesce(setting, '') FROM pg_settings WHERE name = 'data_directory'),
       extract(epoch FROM pg_postmaster_start_time())::bigint
  FROM pg_database d, pg_roles r LEFT JOIN pg_stat_ssl s ON s.pid = pg_backend_pid() AND s.ssl
 WHERE d.datname = current_database() AND r.rolname = current_user
