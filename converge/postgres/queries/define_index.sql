-- Indexes. Those of constraints are not made by themselves.
SELECT 'pg_class'::regclass::oid::bigint, x.oid::bigint, 0,
       CASE WHEN c.oid IS NULL THEN 'index' END,
       format('index %%I.%%I', n.nspname, x.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'of', CASE t.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'table' END
                 || format(' %%I.%%I', n.nspname, t.relname),
           'schema', n.nspname, 'name', x.relname, 'table', t.relname,
           'definition', pg_get_indexdef(x.oid),
           'clustered', nullif(i.indisclustered, false), 'replica identity', nullif(i.indisreplident, false),
           'statistics', statistics.targets,
           'comment', obj_description(x.oid, 'pg_class'))),
       jsonb_strip_nulls(jsonb_build_object(
           'tablespace', (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = x.reltablespace),
           'usable', i.indisvalid AND i.indisready AND i.indislive, 'immediate', i.indimmediate,
           'extensions', extensions.names)),
       CASE WHEN %(load)s THEN jsonb_build_object(
           -- Its key; an empty name stands for an expression.
           'columns', ARRAY(SELECT coalesce(a.attname::text, '')
                              FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(num, place)
                              LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num AND k.num <> 0
                             WHERE k.place <= i.indnkeyatts ORDER BY k.place),
           'keys', ARRAY(SELECT pg_get_indexdef(i.indexrelid, place, false)
                           FROM generate_series(1, i.indnkeyatts) place ORDER BY place),
           'unique', i.indisunique, 'primary', i.indisprimary,
           'distinct', coalesce(NOT (to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, true),
           'predicate', coalesce(pg_get_expr(i.indpred, i.indrelid), ''),
           'method', m.amname, 'valid', i.indisvalid AND i.indisready AND i.indislive,
           'constraint', c.conname, 'constraint definition', pg_get_constraintdef(c.oid),
           'constraint comment', obj_description(c.oid, 'pg_constraint'),
           -- One with something that its definition does not tell must stay during a load: a tablespace, a place in
           -- CLUSTER or REPLICA IDENTITY, statistics, or objects that hang on it. So must the key by which a
           -- publication knows rows: without it the server refuses DELETE.
           'movable', i.indisvalid AND i.indisready AND i.indislive AND NOT i.indisclustered AND NOT i.indisreplident
           AND NOT (i.indisprimary AND t.relreplident = 'd' AND (n.nspname, t.relname) IN (
                    SELECT p.schemaname, p.tablename FROM pg_publication_tables p))
           AND x.reltablespace = 0 AND NOT x.relispartition AND coalesce(c.contype <> 'x', true)
           AND (c.oid IS NULL OR x.reloptions IS NULL)
           AND statistics.targets IS NULL AND extensions.names IS NULL
           AND NOT EXISTS (SELECT FROM pg_depend d
                            WHERE (d.refclassid, d.refobjid) IN (('pg_class'::regclass, x.oid),
                                                                 ('pg_constraint'::regclass, coalesce(c.oid, 0)))
                              -- What is internal goes and comes with it: an index, triggers of a deferrable key.
                              AND d.deptype <> 'i'
                              AND NOT (d.classid = 'pg_constraint'::regclass AND EXISTS (
                                       SELECT FROM pg_constraint f WHERE f.oid = d.objid AND f.contype = 'f')))) END
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = x.relnamespace JOIN pg_am m ON m.oid = x.relam
  LEFT JOIN pg_constraint c ON c.conindid = x.oid AND c.contype IN ('p', 'u', 'x')
  -- By aggregates: of EXISTS the planner makes one pass over all columns of the database.
  CROSS JOIN LATERAL (SELECT jsonb_object_agg(a.attnum, to_jsonb(a) -> 'attstattarget') AS targets
                        FROM pg_attribute a
                       WHERE a.attrelid = x.oid
                         AND coalesce((to_jsonb(a) ->> 'attstattarget')::int, -1) <> -1) statistics
  CROSS JOIN LATERAL (SELECT jsonb_agg(e.extname ORDER BY e.extname) AS names
                        FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                       WHERE d.classid = 'pg_class'::regclass AND d.objid = x.oid AND d.deptype = 'x'
                         AND d.refclassid = 'pg_extension'::regclass) extensions
 WHERE n.nspname = %(schema)s
 ORDER BY t.relname COLLATE "C", x.relname COLLATE "C"
