WITH space AS (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
SELECT c.relname::text,
       coalesce(
         (SELECT t.relname FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid WHERE i.indexrelid = c.oid),
         (SELECT t.relname FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid
           WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid
             AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1),
         c.relname)::text
  FROM pg_class c JOIN space s ON c.relnamespace = s.oid
UNION
SELECT y.typname::text,
       coalesce((SELECT t.relname FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid
                  WHERE a.atttypid = y.oid AND t.relkind = 'r' LIMIT 1), y.typname)::text
  FROM pg_type y JOIN space s ON y.typnamespace = s.oid
 WHERE y.typtype IN ('e', 'd')
