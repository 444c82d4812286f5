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
           'owner', pg_get_userbyid(c.relowner), 'rights', c.relacl::text,
           'tablespace', (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace),
           'extensions', (SELECT jsonb_agg(e.extname || ' ' || d.deptype::text ORDER BY e.extname)
                            FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                           WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
                             AND d.refclassid = 'pg_extension'::regclass),
           'labels', (SELECT jsonb_agg(l.provider || ' ' || l.label ORDER BY l.provider) FROM pg_seclabel l
                       WHERE l.classoid = 'pg_class'::regclass AND l.objoid = c.oid AND l.objsubid = 0)))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence q ON q.seqrelid = c.oid
  LEFT JOIN pg_depend i ON i.classid = 'pg_class'::regclass AND i.objid = c.oid
                       AND i.refclassid = 'pg_class'::regclass AND i.deptype = 'i'
 WHERE n.nspname = %(schema)s
 ORDER BY c.relname COLLATE "C"
