-- Materialized views that read tables of the schema, through other views too: after those that they read.
WITH RECURSIVE reads AS (
  SELECT DISTINCT r.ev_class AS view, d.refobjid AS relation
    FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
   WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
), chain AS (
  SELECT view, relation, 1 AS depth FROM reads JOIN pg_class t ON t.oid = relation
   WHERE t.relkind = 'r' AND t.relnamespace = to_regnamespace(quote_ident(%(schema)s))
  UNION
  SELECT r.view, c.relation, c.depth + 1 FROM chain c JOIN reads r ON r.relation = c.view
)
SELECT format('%%I.%%I', n.nspname, m.relname), array_agg(DISTINCT t.relname::text)
  FROM chain c JOIN pg_class m ON m.oid = c.view JOIN pg_namespace n ON n.oid = m.relnamespace
  JOIN pg_class t ON t.oid = c.relation
 WHERE m.relkind = 'm' AND m.relispopulated
 GROUP BY m.oid, n.nspname, m.relname ORDER BY max(c.depth), 1
