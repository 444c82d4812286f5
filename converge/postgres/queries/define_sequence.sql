-- Sequences of their own, and as an object beside it the column that a sequence belongs to. Those of identity
-- columns are the columns'.
SELECT 'pg_class'::regclass::oid::bigint, c.oid::bigint, 0, 'sequence',
       format('sequence %%I.%%I', n.nspname, c.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'of', (SELECT format('column %%I.%%I.%%I', tn.nspname, t.relname, a.attname)
                    FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid
                    JOIN pg_namespace tn ON tn.oid = t.relnamespace
                    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                   WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'a'
                     AND d.refclassid = 'pg_class'::regclass),
           'schema', n.nspname, 'name', c.relname, 'unlogged', nullif(c.relpersistence = 'u', false),
           'type', format_type(q.seqtypid, NULL), 'start', q.seqstart, 'increment', q.seqincrement,
           'min', q.seqmin, 'max', q.seqmax, 'cache', q.seqcache, 'cycle', q.seqcycle,
           'comment', obj_description(c.oid, 'pg_class')))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence q ON q.seqrelid = c.oid
 WHERE n.nspname = %(schema)s
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i')
 ORDER BY c.relname COLLATE "C"
