SELECT 'pg_class'::regclass::oid::bigint, c.oid::bigint, 0, 'table',
       format('table %%I.%%I', n.nspname, c.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'schema', n.nspname, 'name', c.relname, 'unlogged', nullif(c.relpersistence = 'u', false),
           'options', c.reloptions || (SELECT array_agg('toast.' || o) FROM unnest(t.reloptions) o),
           'method', (SELECT m.amname FROM pg_am m WHERE m.oid = c.relam AND m.amname <> 'heap'),
           'row security', nullif(c.relrowsecurity, false),
           'forced', nullif(c.relforcerowsecurity, false),
           -- That of an index is the index's; when that is gone, rows have none.
           'replica identity', CASE WHEN c.relreplident = 'f' THEN 'FULL'
                                    WHEN c.relreplident = 'n' OR c.relreplident = 'i' AND NOT EXISTS (
                                        SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident)
                                    THEN 'NOTHING' END,
           'comment', obj_description(c.oid, 'pg_class')))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
 WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'f')
 ORDER BY c.relname COLLATE "C"
