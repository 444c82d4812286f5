SELECT name,
       CASE WHEN unit IS NULL OR reset_val IN ('0', '-1') THEN reset_val
            WHEN unit ~ 'B$' THEN pg_size_pretty(reset_val::bigint * pg_size_bytes(regexp_replace(unit, '^(?=\D)', '1')))
            ELSE reset_val || ' ' || unit END
  FROM pg_settings
 WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_session_timeout', 'transaction_timeout',
                'idle_in_transaction_session_timeout', 'default_transaction_read_only',
                'maintenance_work_mem', 'max_connections', 'max_locks_per_transaction', 'max_wal_size',
                'wal_level', 'synchronous_commit', 'data_directory', 'TimeZone')
 ORDER BY name
