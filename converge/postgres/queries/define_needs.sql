-- All dependencies in the database but those of what initdb has made.
SELECT d.classid::bigint, d.objid::bigint, d.objsubid, d.refclassid::bigint, d.refobjid::bigint, d.refobjsubid,
       d.deptype::text
  FROM pg_depend d
 WHERE d.deptype IN ('n', 'a', 'i', 'e', 'x') AND d.objid >= 16384
   -- That a sequence belongs to a column is an object of its own.
   AND NOT (d.deptype = 'a' AND d.classid = 'pg_class'::regclass AND d.refobjsubid > 0
            AND EXISTS (SELECT FROM pg_class s WHERE s.oid = d.objid AND s.relkind = 'S'))
UNION ALL
-- The expression of a generated column is the column's.
SELECT 'pg_attrdef'::regclass::oid::bigint, d.oid::bigint, 0, 'pg_class'::regclass::oid::bigint, d.adrelid::bigint,
       d.adnum::int, 'i'
  FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum AND a.attgenerated <> ''
 ORDER BY 1, 2, 3, 4, 5, 6
