-- Indexes with their constraints. One with something that its definition does not tell must stay:
-- a tablespace, a place in CLUSTER or REPLICA IDENTITY, statistics, or objects that hang on it. So must the
-- key by which a publication knows rows: without it the server refuses DELETE.
SELECT i.indrelid, x.relname::text,
       ARRAY(SELECT coalesce(a.attname::text, '') FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(num, place)
              LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num AND k.num <> 0
              WHERE k.place <= i.indnkeyatts ORDER BY k.place),
       i.indisunique, i.indisprimary,
       coalesce(NOT (to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, true),
       coalesce(pg_get_expr(i.indpred, i.indrelid), ''),
       m.amname::text,
       c.conname::text,
       format('%%I.%%I', n.nspname, t.relname),
       CASE WHEN c.oid IS NULL THEN pg_get_indexdef(i.indexrelid) ELSE pg_get_constraintdef(c.oid) END,
       obj_description(i.indexrelid, 'pg_class'),
       obj_description(c.oid, 'pg_constraint'),
       i.indisvalid AND i.indisready AND i.indislive AND NOT i.indisclustered AND NOT i.indisreplident
       AND NOT (i.indisprimary AND t.relreplident = 'd' AND EXISTS (
                SELECT FROM pg_publication_tables p WHERE (p.schemaname, p.tablename) = (n.nspname, t.relname)))
       AND x.reltablespace = 0 AND NOT x.relispartition AND coalesce(c.contype <> 'x', true)
       AND (c.oid IS NULL OR x.reloptions IS NULL)
       AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = x.oid
                        AND coalesce((to_jsonb(a) ->> 'attstattarget')::int, -1) <> -1)
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = x.oid
                        AND d.deptype = 'x')
       AND NOT EXISTS (SELECT FROM pg_depend d
                        WHERE (d.refclassid, d.refobjid) IN (('pg_class'::regclass, x.oid),
                                                             ('pg_constraint'::regclass, coalesce(c.oid, 0)))
                          -- What is internal goes and comes with it: an index, triggers of a deferrable key.
                          AND d.deptype <> 'i'
                          AND NOT (d.classid = 'pg_constraint'::regclass AND EXISTS (
                                   SELECT FROM pg_constraint f WHERE f.oid = d.objid AND f.contype = 'f')))
  FROM pg_index i
  JOIN pg_class x ON x.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
  JOIN pg_am m ON m.oid = x.relam
  LEFT JOIN pg_constraint c ON c.conindid = x.oid AND c.contype IN ('p', 'u', 'x')
 WHERE t.relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND t.relkind IN ('r', 'p')
 ORDER BY i.indrelid, NOT i.indisprimary, x.relname COLLATE "C"
