SELECT 'pg_proc'::regclass::oid::bigint, p.oid::bigint, 0, 'function',
       CASE p.prokind WHEN 'p' THEN 'procedure ' ELSE 'function ' END || p.oid::regprocedure::text,
       jsonb_strip_nulls(jsonb_build_object(
           'schema', n.nspname, 'name', p.proname,
           'procedure', nullif(p.prokind = 'p', false),
           'types', (SELECT jsonb_agg(format_type(one, NULL) ORDER BY place)
                       FROM unnest(p.proargtypes) WITH ORDINALITY u(one, place)),
           'arguments', pg_get_function_arguments(p.oid), 'result', pg_get_function_result(p.oid),
           'language', l.lanname,
           'definition', rtrim(pg_get_functiondef(p.oid), E'\n'),
           'comment', obj_description(p.oid, 'pg_proc'))),
       jsonb_strip_nulls(jsonb_build_object(
           'owner', pg_get_userbyid(p.proowner), 'rights', p.proacl::text))
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
 WHERE n.nspname = %(schema)s AND p.prokind IN ('f', 'p', 'w')
   -- What extensions bring is theirs, and what makes ranges comes with their types.
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i'))
 ORDER BY p.proname COLLATE "C", p.oid::regprocedure::text COLLATE "C"
