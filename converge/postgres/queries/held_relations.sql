-- Tables that are neither the system's, an extension's, nor the ledger's; and that of the large objects, a row each.
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND (n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'converge')
        OR c.oid = 'pg_largeobject_metadata'::regclass)
   AND n.nspname NOT LIKE 'pg\_temp\_%%'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND d.deptype = 'e')
 ORDER BY 2, 3
