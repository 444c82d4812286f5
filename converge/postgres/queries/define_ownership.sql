-- The columns that sequences belong to: an object of its own, because each needs the other to be made first.
SELECT 0::bigint, c.oid::bigint, 0, 'ownership', format('owner of sequence %%I.%%I', n.nspname, c.relname),
       jsonb_build_object(
           'of', format('column %%I.%%I.%%I', tn.nspname, t.relname, a.attname),
           'sequence', format('sequence %%I.%%I', n.nspname, c.relname),
           'schema', n.nspname, 'name', c.relname,
           'table schema', tn.nspname, 'table', t.relname, 'column', a.attname,
           'needs', jsonb_build_array(format('sequence %%I.%%I', n.nspname, c.relname),
                                      format('column %%I.%%I.%%I', tn.nspname, t.relname, a.attname))),
       '{}'::jsonb
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'a'
                  AND d.refclassid = 'pg_class'::regclass
  JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
  JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
 WHERE n.nspname = %(schema)s AND c.relkind = 'S'
 ORDER BY c.relname COLLATE "C"
