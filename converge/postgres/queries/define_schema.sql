-- The schema itself; of public, which is there in every database, only another comment than the usual one.
SELECT 'pg_namespace'::regclass::oid::bigint, n.oid::bigint, 0, 'schema',
       'schema ' || quote_ident(n.nspname),
       jsonb_strip_nulls(jsonb_build_object('name', n.nspname, 'comment', obj_description(n.oid, 'pg_namespace')))
  FROM pg_namespace n
 WHERE n.nspname = %(schema)s
   AND NOT (n.nspname = 'public' AND obj_description(n.oid, 'pg_namespace') IS NOT DISTINCT FROM
            'standard public schema')
