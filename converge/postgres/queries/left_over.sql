-- Types and functions that an earlier run has made, that are what it has made, and that nothing uses.
WITH made AS (
  SELECT (regexp_match(sql, '^CREATE (TYPE|FUNCTION) ((?:"[^"]*")+\.(?:"[^"]*")+)'))[1:2] AS parts, sql
    FROM converge.step WHERE sql LIKE 'CREATE TYPE %%' OR sql LIKE 'CREATE FUNCTION %%'
), there AS (
  SELECT 'TYPE' AS kind, parts[2] AS name, y.oid, typarray, typnamespace AS space, typowner AS owner,
         'pg_type'::regclass AS catalog, sql, 'ENUM (' || (
           SELECT string_agg('''' || replace(enumlabel, '''', '''''') || '''', ', ' ORDER BY enumsortorder)
             FROM pg_enum WHERE enumtypid = y.oid) || ')' AS body
    FROM made JOIN pg_type y ON y.oid = to_regtype(parts[2]) WHERE parts[1] = 'TYPE'
  UNION
  SELECT 'FUNCTION', parts[2] || '()', p.oid, 0, pronamespace, proowner, 'pg_proc'::regclass, sql,
         '''' || replace(prosrc, '''', '''''') || ''''
    FROM made JOIN pg_proc p ON p.oid = to_regprocedure(parts[2] || '()') WHERE parts[1] = 'FUNCTION'
)
SELECT DISTINCT kind, name, coalesce(y.typname, p.proname)::text
  FROM there t JOIN pg_namespace n ON n.oid = t.space
  LEFT JOIN pg_type y ON kind = 'TYPE' AND y.oid = t.oid LEFT JOIN pg_proc p ON kind <> 'TYPE' AND p.oid = t.oid
 WHERE n.nspname = %(schema)s AND strpos(sql, body) > 0 AND pg_has_role(owner, 'USAGE')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = catalog AND d.refobjid IN (t.oid, t.typarray)
                      AND d.deptype <> 'i')
 ORDER BY 1, 2
