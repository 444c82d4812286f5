-- Tables, sequences and views that a name may mean, by the schemas of a path.
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relname = %(name)s AND n.nspname = ANY (%(schemas)s::text[]) AND c.relkind IN ('r', 'p', 'S', 'v', 'm', 'f')
