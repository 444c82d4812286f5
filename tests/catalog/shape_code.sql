-- Types and functions of the schema, without those that extensions bring.
SELECT CASE t.typtype WHEN 'e' THEN 'enum ' WHEN 'd' THEN 'domain ' WHEN 'r' THEN 'range ' ELSE 'type ' END
       || format_type(t.oid, NULL),
       jsonb_strip_nulls(jsonb_build_object(
           'owner', pg_get_userbyid(t.typowner), 'rights', t.typacl::text,
           'labels', (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder)
                        FROM pg_enum e WHERE e.enumtypid = t.oid),
           'base', CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
           'not null', t.typnotnull, 'default', t.typdefault,
           'collation', nullif(t.typcollation, 0)::regcollation::text,
           'subtype', (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid),
           'comment', obj_description(t.oid, 'pg_type')))::text
  FROM pg_type t
 WHERE t.typnamespace = to_regnamespace(quote_ident(%(schema)s)) AND t.typtype IN ('b', 'd', 'e', 'r')
   AND t.typcategory <> 'A'
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
UNION ALL
SELECT 'function ' || p.oid::regprocedure::text,
       jsonb_strip_nulls(jsonb_build_object(
           'owner', pg_get_userbyid(p.proowner), 'rights', p.proacl::text,
           'definition', CASE p.prokind WHEN 'a' THEN concat_ws(' ', pg_get_function_arguments(p.oid),
                                             format_type(p.prorettype, NULL), g.aggtransfn, g.aggfinalfn)
                                        ELSE pg_get_functiondef(p.oid) END,
           'comment', obj_description(p.oid, 'pg_proc')))::text
  FROM pg_proc p LEFT JOIN pg_aggregate g ON g.aggfnoid = p.oid
 WHERE p.pronamespace = to_regnamespace(quote_ident(%(schema)s))
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
