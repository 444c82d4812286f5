-- The schema itself. Public is there in every database: what differs is another comment than the usual one.
SELECT 'pg_namespace'::regclass::oid::bigint, n.oid::bigint, 0,
       CASE WHEN n.nspname <> 'public' OR obj_description(n.oid, 'pg_namespace') IS DISTINCT FROM
                 'standard public schema' THEN 'schema' END,
       'schema ' || quote_ident(n.nspname),
       jsonb_strip_nulls(jsonb_build_object('name', n.nspname, 'comment', obj_description(n.oid, 'pg_namespace'))),
       jsonb_strip_nulls(jsonb_build_object(
           'owner', pg_get_userbyid(n.nspowner), 'rights', n.nspacl::text))
  FROM pg_namespace n
 WHERE n.nspname = %(schema)s
