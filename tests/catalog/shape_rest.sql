-- What hangs on the schema's tables: triggers, rules, policies, statistics and publications.
SELECT format('trigger %%I on %%I.%%I', g.tgname, n.nspname, t.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'definition', pg_get_triggerdef(g.oid), 'enabled', g.tgenabled,
           'extensions', (SELECT jsonb_agg(e.extname ORDER BY e.extname)
                            FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                           WHERE d.classid = 'pg_trigger'::regclass AND d.objid = g.oid AND d.deptype = 'x'
                             AND d.refclassid = 'pg_extension'::regclass),
           'comment', obj_description(g.oid, 'pg_trigger')))::text
  FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE n.nspname = %(schema)s AND NOT g.tgisinternal
UNION ALL
SELECT format('rule %%I on %%I.%%I', r.rulename, n.nspname, t.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'definition', pg_get_ruledef(r.oid), 'enabled', r.ev_enabled,
           'comment', obj_description(r.oid, 'pg_rewrite')))::text
  FROM pg_rewrite r JOIN pg_class t ON t.oid = r.ev_class JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE n.nspname = %(schema)s AND r.rulename <> '_RETURN'
UNION ALL
SELECT format('policy %%I on %%I.%%I', p.polname, n.nspname, t.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'command', p.polcmd, 'permissive', p.polpermissive,
           'roles', (SELECT jsonb_agg(CASE one WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(one)::text END
                                      ORDER BY place) FROM unnest(p.polroles) WITH ORDINALITY u(one, place)),
           'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid),
           'comment', obj_description(p.oid, 'pg_policy')))::text
  FROM pg_policy p JOIN pg_class t ON t.oid = p.polrelid JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE n.nspname = %(schema)s
UNION ALL
SELECT format('statistics %%I.%%I', n.nspname, s.stxname),
       jsonb_strip_nulls(jsonb_build_object(
           'definition', pg_get_statisticsobjdef(s.oid), 'target', to_jsonb(s) -> 'stxstattarget',
           'owner', pg_get_userbyid(s.stxowner), 'comment', obj_description(s.oid, 'pg_statistic_ext')))::text
  FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace JOIN pg_class t ON t.oid = s.stxrelid
 WHERE to_regnamespace(quote_ident(%(schema)s)) IN (s.stxnamespace, t.relnamespace)
UNION ALL
SELECT format('publication %%I of %%I.%%I', p.pubname, n.nspname, t.relname),
       -- Columns and a condition since 15.
       jsonb_strip_nulls(jsonb_build_object(
           'columns', to_jsonb(r) -> 'prattrs', 'condition', md5(to_jsonb(r) ->> 'prqual')))::text
  FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
  JOIN pg_class t ON t.oid = r.prrelid JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE n.nspname = %(schema)s
