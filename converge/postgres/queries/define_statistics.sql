SELECT 'pg_statistic_ext'::regclass::oid::bigint, s.oid::bigint, 0,
       CASE WHEN n.nspname = %(schema)s AND t.relnamespace = n.oid THEN 'statistics' END,
       format('statistics %%I.%%I', n.nspname, s.stxname),
       jsonb_strip_nulls(jsonb_build_object(
           'of', 'table ' || t.oid::regclass::text,
           'schema', n.nspname, 'name', s.stxname, 'table', t.relname,
           'definition', format('CREATE STATISTICS %%I.%%I%%s ON %%s FROM %%I.%%I', n.nspname, s.stxname, k.kinds,
               concat_ws(', ',
                   -- The server has them in the order of the table's columns, which does not count.
                   (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname COLLATE "C")
                      FROM pg_attribute a
                     WHERE a.attrelid = s.stxrelid AND a.attnum = ANY (s.stxkeys::int2[])),
                   (SELECT string_agg(format('(%%s)', one), ', ' ORDER BY place)
                      FROM unnest(pg_get_statisticsobjdef_expressions(s.oid)) WITH ORDINALITY u(one, place))),
               n.nspname, t.relname),
           'target', nullif((to_jsonb(s) ->> 'stxstattarget')::int, -1),
           'comment', obj_description(s.oid, 'pg_statistic_ext'))),
       jsonb_strip_nulls(jsonb_build_object(
           'owner', pg_get_userbyid(s.stxowner)))
  FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace JOIN pg_class t ON t.oid = s.stxrelid
 -- All three are what the server chooses, and of a single expression there are none that could be named.
 CROSS JOIN LATERAL (
       SELECT CASE WHEN count(*) BETWEEN 1 AND 2 THEN format(' (%%s)', string_agg(
                   CASE kind WHEN 'd' THEN 'ndistinct' WHEN 'f' THEN 'dependencies' ELSE 'mcv' END,
                   ', ' ORDER BY kind)) ELSE '' END AS kinds
         FROM unnest(s.stxkind) kind WHERE kind <> 'e') k
 WHERE to_regnamespace(quote_ident(%(schema)s)) IN (s.stxnamespace, t.relnamespace)
 ORDER BY s.stxname COLLATE "C"
