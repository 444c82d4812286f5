-- The sessions of converge in this database, those that they wait for, and those that wait for them.
-- Another role's query and progress are NULL without pg_read_all_stats (manual, "Predefined Roles").
WITH ours AS (
    SELECT array_agg(pid) AS pids FROM pg_stat_activity
     WHERE datname = current_database() AND (application_name = ANY (%(names)s) OR application_name ~ '^converge \S+ \d') AND pid <> pg_backend_pid()),
waits AS (
    SELECT pid, pg_blocking_pids(pid) AS waits_for FROM (SELECT DISTINCT pid FROM pg_locks WHERE NOT granted) w),
shown AS (
    SELECT unnest(pids) AS pid FROM ours
    UNION SELECT unnest(waits_for) FROM waits, ours WHERE pid = ANY (pids)
    UNION SELECT pid FROM waits, ours WHERE waits_for && pids)
SELECT pid, a.pid = ANY (pids) AS ours, usename::text AS role, application_name AS application, state,
       concat_ws(': ', wait_event_type, wait_event) AS wait,
       round(extract(epoch FROM clock_timestamp() - coalesce(CASE state WHEN 'active' THEN query_start END, state_change)))::int
           AS seconds,
       nullif(query, '<insufficient privilege>') AS query, coalesce(waits_for, '{}') AS waits_for,
       coalesce(c.relid, i.relid)::regclass::text AS "table", c.bytes_processed AS bytes, c.tuples_processed AS rows,
       i.phase AS index_phase, greatest(i.blocks_done, i.tuples_done) AS index_done,
       greatest(i.blocks_total, i.tuples_total) AS index_total
  FROM shown JOIN pg_stat_activity a USING (pid) CROSS JOIN ours LEFT JOIN waits USING (pid)
       LEFT JOIN pg_stat_progress_copy c USING (pid) LEFT JOIN pg_stat_progress_create_index i USING (pid)
 WHERE leader_pid IS NULL
 ORDER BY ours DESC, application_name, pid
