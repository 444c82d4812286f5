-- Tables whose rows a revision may touch, with their columns by number, the numbers of their primary key, and which rows
-- count; held_relations.sql says why of an extension's. Where a policy hides its rows, they cannot be looked at.
SELECT c.oid::bigint, n.nspname, c.relname,
       (SELECT coalesce(jsonb_object_agg(a.attnum, jsonb_build_array(a.attname,
                   format_type(a.atttypid, a.atttypmod))), '{}')
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       (SELECT coalesce(array_agg(k ORDER BY place), '{}') FROM pg_index i,
               unnest(i.indkey::int2[]) WITH ORDINALITY u(k, place)
         WHERE i.indrelid = c.oid AND i.indisprimary AND place <= i.indnkeyatts),
       coalesce(e.condition, '')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN (SELECT d.objid, x.extcondition[array_position(x.extconfig, d.objid)]
               FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
              WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e')
            e (oid, condition) ON e.oid = c.oid
 WHERE c.relkind = 'r' AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'converge_before')
   AND (n.nspname <> 'converge' OR %(ledger)s)
   AND n.nspname !~ '^pg_' AND NOT (n.nspname, c.relname::text) = (%(schema)s, %(version_table)s)
   AND (e.oid IS NULL OR e.condition IS NOT NULL AND has_schema_privilege(n.oid, 'USAGE')
                        AND has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') AND NOT row_security_active(c.oid))
 ORDER BY n.nspname, c.relname
