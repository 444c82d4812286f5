-- Sequences that belong to no column: what draws from them may be written anywhere, so a position is worth a row.
SELECT c.oid, n.nspname::text, c.relname::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'S' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'converge')
   AND n.nspname NOT LIKE 'pg\_temp\_%%'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND (d.deptype = 'e' OR d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')))
 ORDER BY 2, 3
