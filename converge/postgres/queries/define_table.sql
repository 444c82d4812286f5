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
           'of type', (SELECT format_type(t.oid, NULL) FROM pg_type t WHERE t.oid = c.reloftype),
           'inherits', (SELECT jsonb_agg(i.inhparent::regclass::text ORDER BY i.inhseqno)
                          FROM pg_inherits i WHERE i.inhrelid = c.oid),
           'partition', pg_get_expr(c.relpartbound, c.oid),
           'partition key', pg_get_partkeydef(c.oid),
           'server', (SELECT jsonb_build_array(s.srvname, f.ftoptions) FROM pg_foreign_table f
                        JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid),
           'comment', obj_description(c.oid, 'pg_class'))),
       jsonb_strip_nulls(jsonb_build_object(
           {relation},
           'row identity', c.relreplident)),
       CASE WHEN %(load)s THEN jsonb_build_object(
           'owned', pg_has_role(c.relowner, 'USAGE'),
           'of an extension', EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND classid = 'pg_class'::regclass
                                         AND deptype = 'e'),
           -- Why it cannot be loaded as a plain table.
           'obstacle', CASE WHEN c.relkind = 'p' THEN 'it is partitioned'
                            WHEN c.relkind = 'f' THEN 'it is a foreign table'
                            WHEN c.relispartition THEN 'it is a partition'
                            WHEN EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhparent, inhrelid))
                                THEN 'it inherits'
                            WHEN EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid AND ev_enabled <> 'D')
                                THEN 'it has rules'
                            WHEN c.relforcerowsecurity THEN 'row security is forced on its owner, too'
                            ELSE '' END) END
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
 WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'f')
 ORDER BY c.relname COLLATE "C"
