-- Tables of these names that the role may not read as a whole.
SELECT c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND (NOT has_schema_privilege(n.oid, 'USAGE')
        OR NOT has_table_privilege(c.oid, 'SELECT')
           AND EXISTS (SELECT FROM pg_attribute a
                        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                          AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT')))
 ORDER BY 1
