-- Collations by which texts of different bytes can be equal. The locale's column has a name of its own in
-- PostgreSQL 14, in 15 and 16, and from 17 on.
SELECT n.nspname, c.collname, pg_collation_is_visible(c.oid),
       coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', c.collcollate)
FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
WHERE NOT c.collisdeterministic
