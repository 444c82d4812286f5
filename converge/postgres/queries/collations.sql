-- Collations by which texts of different bytes can be equal, each under its whole name, and by itself where the search
-- path finds it. The locale's column has a name of its own in PostgreSQL 14, in 15 and 16, and from 17 on.
SELECT '"' || concat_ws('"."', replace(path, '"', '""'), replace(c.collname, '"', '""')) || '"',
       coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', c.collcollate)
  FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace,
       unnest(CASE WHEN pg_collation_is_visible(c.oid) THEN ARRAY[n.nspname, NULL] ELSE ARRAY[n.nspname] END) path
 WHERE NOT c.collisdeterministic
