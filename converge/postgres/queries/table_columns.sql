-- The columns of the schema's tables, with the names by which the shape has them.
SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod),
       format('column %%I.%%I.%%I', n.nspname, c.relname, a.attname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'f')
 ORDER BY c.relname, a.attnum
