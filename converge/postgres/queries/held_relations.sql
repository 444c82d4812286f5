-- Tables that could lose rows: users' own, that of the large objects (a row each), the ledger's where it is asked for,
-- and those of an extension that are named, or whose extension is, or their schema where that is not looked through for
-- every name: others a trial of one schema would never have. They count where the role may take the rows that users have
-- added. Which those are says the condition by which pg_dump dumps them (PostgreSQL manual, "Extension Configuration
-- Tables"); the others come with the extension.
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text, coalesce(e.condition, '')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN (SELECT d.objid, x.extcondition[array_position(x.extconfig, d.objid)], x.extname
               FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
              WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e')
            e (oid, condition, name) ON e.oid = c.oid
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND (n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'converge')
        OR c.oid = 'pg_largeobject_metadata'::regclass OR (n.nspname = 'converge' AND %(ledger)s))
   AND n.nspname NOT LIKE 'pg\_temp\_%%'
   AND (e.oid IS NULL OR e.condition IS NOT NULL AND has_schema_privilege(n.oid, 'USAGE')
                        AND has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE')
                        AND (lower(c.relname) = ANY (%(named)s) OR lower(e.name) = ANY (%(named)s)
                             OR lower(n.nspname) = ANY (%(named)s) AND n.nspname <> ALL (current_schemas(false))))
 ORDER BY 2, 3
