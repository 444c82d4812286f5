SELECT 'pg_proc'::regclass::oid::bigint, p.oid::bigint, 0, 'aggregate', 'aggregate ' || p.oid::regprocedure::text,
       jsonb_strip_nulls(jsonb_build_object(
           'schema', n.nspname, 'name', p.proname,
           'identity', pg_get_function_identity_arguments(p.oid),
           'definition', format(E'CREATE AGGREGATE %%I.%%I(%%s) (\n%%s\n)', n.nspname, p.proname,
               coalesce(nullif(pg_get_function_arguments(p.oid), ''), '*'),
               (SELECT string_agg('    ' || key || coalesce(' = ' || nullif(value, ''), ''), E',\n' ORDER BY key)
                  FROM (VALUES
               ('SFUNC', g.aggtransfn::text), ('STYPE', format_type(g.aggtranstype, NULL)),
               ('SSPACE', nullif(g.aggtransspace, 0)::text),
               ('FINALFUNC', nullif(g.aggfinalfn, 0)::regproc::text),
               ('FINALFUNC_EXTRA', CASE WHEN g.aggfinalextra THEN '' END),
               ('FINALFUNC_MODIFY', CASE WHEN g.aggfinalfn <> 0 THEN CASE g.aggfinalmodify WHEN 'r' THEN 'READ_ONLY'
                                         WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END END),
               ('COMBINEFUNC', nullif(g.aggcombinefn, 0)::regproc::text),
               ('SERIALFUNC', nullif(g.aggserialfn, 0)::regproc::text),
               ('DESERIALFUNC', nullif(g.aggdeserialfn, 0)::regproc::text),
               ('INITCOND', quote_literal(g.agginitval)),
               ('MSFUNC', nullif(g.aggmtransfn, 0)::regproc::text),
               ('MINVFUNC', nullif(g.aggminvtransfn, 0)::regproc::text),
               ('MSTYPE', format_type(nullif(g.aggmtranstype, 0), NULL)),
               ('MSSPACE', nullif(g.aggmtransspace, 0)::text),
               ('MFINALFUNC', nullif(g.aggmfinalfn, 0)::regproc::text),
               ('MFINALFUNC_EXTRA', CASE WHEN g.aggmfinalextra THEN '' END),
               ('MFINALFUNC_MODIFY', CASE WHEN g.aggmfinalfn <> 0 THEN CASE g.aggmfinalmodify WHEN 'r' THEN 'READ_ONLY'
                                         WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END END),
               ('MINITCOND', quote_literal(g.aggminitval)),
               ('SORTOP', (SELECT format('OPERATOR(%%s.%%s)', o.oprnamespace::regnamespace, o.oprname)
                             FROM pg_operator o WHERE o.oid = g.aggsortop)),
               ('PARALLEL', CASE p.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' END),
               ('HYPOTHETICAL', CASE g.aggkind WHEN 'h' THEN '' END)) v(key, value) WHERE value IS NOT NULL)),
           'comment', obj_description(p.oid, 'pg_proc'))),
       jsonb_strip_nulls(jsonb_build_object(
           'owner', pg_get_userbyid(p.proowner), 'rights', p.proacl::text))
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_aggregate g ON g.aggfnoid = p.oid
 WHERE n.nspname = %(schema)s
   -- What extensions bring is theirs.
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
 ORDER BY p.proname COLLATE "C", p.oid::regprocedure::text COLLATE "C"
