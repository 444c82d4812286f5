-- Names of the schema in which a new table, index, sequence, view or type can have none of its own; each
-- with the table that it serves, and its kind.
WITH space AS (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
SELECT c.relname::text,
       coalesce(
         (SELECT t.relname FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid WHERE i.indexrelid = c.oid),
         (SELECT t.relname FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid
           WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid
             AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1),
         c.relname)::text,
       CASE WHEN c.relkind IN ('r', 'p') THEN 'TABLE' WHEN c.relkind = 'v' THEN 'VIEW'
            WHEN c.relkind = 'm' THEN 'MATERIALIZED VIEW' WHEN c.relkind = 'f' THEN 'FOREIGN TABLE'
            WHEN c.relkind = 'S' THEN 'SEQUENCE' WHEN c.relkind = 'c' THEN 'TYPE' ELSE 'INDEX' END
  FROM pg_class c JOIN space s ON c.relnamespace = s.oid
UNION
-- Rows' types have their tables' names, and an array's type makes room for another one.
SELECT y.typname::text,
       coalesce((SELECT t.relname FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid
                  WHERE a.atttypid = y.oid AND t.relkind = 'r' LIMIT 1), y.typname)::text, 'TYPE'
  FROM pg_type y JOIN space s ON y.typnamespace = s.oid
 WHERE y.typtype <> 'c' AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = y.oid)
 ORDER BY 1
