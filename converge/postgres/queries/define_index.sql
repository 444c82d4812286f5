-- Indexes. Those of constraints are not made by themselves.
SELECT 'pg_class'::regclass::oid::bigint, x.oid::bigint, 0,
       CASE WHEN NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = x.oid AND c.contype IN ('p', 'u', 'x'))
            THEN 'index' END,
       format('index %%I.%%I', n.nspname, x.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'of', CASE t.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'table' END
                 || format(' %%I.%%I', n.nspname, t.relname),
           'schema', n.nspname, 'name', x.relname, 'table', t.relname,
           'definition', pg_get_indexdef(x.oid),
           'clustered', nullif(i.indisclustered, false), 'replica identity', nullif(i.indisreplident, false),
           'statistics', (SELECT jsonb_object_agg(a.attnum, to_jsonb(a) -> 'attstattarget') FROM pg_attribute a
                           WHERE a.attrelid = x.oid
                             AND coalesce((to_jsonb(a) ->> 'attstattarget')::int, -1) <> -1),
           'comment', obj_description(x.oid, 'pg_class'))),
       jsonb_strip_nulls(jsonb_build_object(
           'tablespace', (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = x.reltablespace),
           'usable', i.indisvalid AND i.indisready AND i.indislive, 'immediate', i.indimmediate,
           'extensions', (SELECT jsonb_agg(e.extname ORDER BY e.extname)
                             FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                            WHERE d.classid = 'pg_class'::regclass AND d.objid = x.oid AND d.deptype = 'x'
                              AND d.refclassid = 'pg_extension'::regclass)))
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = x.relnamespace
 WHERE n.nspname = %(schema)s
 ORDER BY t.relname COLLATE "C", x.relname COLLATE "C"
