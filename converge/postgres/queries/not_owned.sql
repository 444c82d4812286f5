WITH space AS (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s),
     home AS (SELECT c.* FROM pg_class c JOIN space s ON c.relnamespace = s.oid
               WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f'))
SELECT CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE'
                    ELSE 'TABLE' END,
       oid::regclass::text, relname::text
  FROM home WHERE NOT pg_has_role(relowner, 'USAGE')
UNION
SELECT 'TYPE', y.oid::regtype::text, h.relname::text
  FROM pg_type y JOIN space s ON y.typnamespace = s.oid
  JOIN pg_attribute a ON a.atttypid = y.oid JOIN home h ON h.oid = a.attrelid
 WHERE y.typtype IN ('e', 'd') AND NOT pg_has_role(y.typowner, 'USAGE')
UNION
SELECT 'FUNCTION', p.oid::regprocedure::text, h.relname::text
  FROM pg_proc p JOIN space s ON p.pronamespace = s.oid
  JOIN pg_trigger t ON t.tgfoid = p.oid JOIN home h ON h.oid = t.tgrelid
 WHERE NOT pg_has_role(p.proowner, 'USAGE')
 ORDER BY 1, 2
