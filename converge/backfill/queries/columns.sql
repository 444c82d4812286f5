-- One row for each column of a table, also where the role may not look at the table.
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), base.name, base.of_array,
       a.attgenerated <> '' OR a.attidentity = 'a',
       a.attnotnull AND EXISTS (
         SELECT FROM pg_index i
          WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
            AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum),
       has_schema_privilege(n.oid, 'USAGE'),
       has_column_privilege(c.oid, a.attnum, 'SELECT'), has_column_privilege(c.oid, a.attnum, 'UPDATE')
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  CROSS JOIN LATERAL (
    -- A domain may have a length of its own, and be over an array or in one.
    WITH RECURSIVE step AS (
      SELECT a.atttypid AS type, false AS of_array
      UNION ALL
      SELECT CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END, step.of_array OR t.typtype <> 'd'
        FROM step JOIN pg_type t ON t.oid = step.type WHERE t.typtype = 'd' OR t.typcategory = 'A')
    SELECT format_type(step.type, -1) AS name, step.of_array
      FROM step JOIN pg_type t ON t.oid = step.type WHERE t.typtype <> 'd' AND t.typcategory <> 'A') AS base
 WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND c.relkind IN ('r', 'p')
