SELECT 'pg_statistic_ext'::regclass::oid::bigint, s.oid::bigint, 0, 'statistics',
       format('statistics %%I.%%I', n.nspname, s.stxname),
       jsonb_strip_nulls(jsonb_build_object(
           'of', 'table ' || t.oid::regclass::text,
           'schema', n.nspname, 'name', s.stxname, 'table', t.relname,
           'kinds', (SELECT jsonb_agg(kind ORDER BY kind) FROM unnest(s.stxkind) kind WHERE kind <> 'e'),
           -- The server has them in the order of the table's columns, which does not count.
           'columns', (SELECT jsonb_agg(a.attname ORDER BY a.attname COLLATE "C") FROM pg_attribute a
                        WHERE a.attrelid = s.stxrelid AND a.attnum = ANY (s.stxkeys::int2[])),
           'expressions', to_jsonb(pg_get_statisticsobjdef_expressions(s.oid)),
           'target', nullif((to_jsonb(s) ->> 'stxstattarget')::int, -1),
           'comment', obj_description(s.oid, 'pg_statistic_ext')))
  FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace JOIN pg_class t ON t.oid = s.stxrelid
 WHERE n.nspname = %(schema)s
 ORDER BY s.stxname COLLATE "C"
