SELECT 'pg_statistic_ext'::regclass::oid::bigint, s.oid::bigint, 0, 'statistics',
       format('statistics %%I.%%I', n.nspname, s.stxname),
       jsonb_strip_nulls(jsonb_build_object(
           'of', 'table ' || t.oid::regclass::text,
           'schema', n.nspname, 'name', s.stxname, 'table', t.relname,
           'definition', pg_get_statisticsobjdef(s.oid),
           'target', nullif((to_jsonb(s) ->> 'stxstattarget')::int, -1),
           'comment', obj_description(s.oid, 'pg_statistic_ext')))
  FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace JOIN pg_class t ON t.oid = s.stxrelid
 WHERE n.nspname = %(schema)s
 ORDER BY s.stxname COLLATE "C"
