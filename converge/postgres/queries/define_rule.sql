SELECT 'pg_rewrite'::regclass::oid::bigint, r.oid::bigint, 0, 'rule',
       format('rule %%I on %%I.%%I', r.rulename, n.nspname, t.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'of', CASE t.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'table' END
                 || format(' %%I.%%I', n.nspname, t.relname),
           'schema', n.nspname, 'table', t.relname, 'name', r.rulename,
           'definition', rtrim(pg_get_ruledef(r.oid), ';'),
           'enabled', CASE r.ev_enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
                                         WHEN 'A' THEN 'ENABLE ALWAYS' END,
           'comment', obj_description(r.oid, 'pg_rewrite'))),
       '{}'::jsonb
  FROM pg_rewrite r JOIN pg_class t ON t.oid = r.ev_class JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE n.nspname = %(schema)s AND r.rulename <> '_RETURN'
 ORDER BY t.relname COLLATE "C", r.rulename COLLATE "C"
