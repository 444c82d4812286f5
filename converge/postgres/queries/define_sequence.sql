-- Sequences. Those of identity columns are the columns': they are not made by themselves.
SELECT 'pg_class'::regclass::oid::bigint, c.oid::bigint, 0, CASE WHEN i.objid IS NULL THEN 'sequence' END,
       format('sequence %%I.%%I', n.nspname, c.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'of', (SELECT format('column %%I.%%I.%%I', tn.nspname, t.relname, a.attname)
                    FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid
                    JOIN pg_namespace tn ON tn.oid = t.relnamespace
                    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                   WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
                     AND d.refclassid = 'pg_class'::regclass),
           'schema', n.nspname, 'name', c.relname, 'unlogged', nullif(c.relpersistence = 'u', false),
           'type', format_type(q.seqtypid, NULL), 'start', q.seqstart, 'increment', q.seqincrement,
           'min', q.seqmin, 'max', q.seqmax, 'cache', q.seqcache, 'cycle', q.seqcycle,
           'comment', obj_description(c.oid, 'pg_class'))),
       jsonb_strip_nulls(jsonb_build_object(
           {relation}))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence q ON q.seqrelid = c.oid
  LEFT JOIN pg_depend i ON i.classid = 'pg_class'::regclass AND i.objid = c.oid
                       AND i.refclassid = 'pg_class'::regclass AND i.deptype = 'i'
 WHERE n.nspname = %(schema)s
 ORDER BY c.relname COLLATE "C"
