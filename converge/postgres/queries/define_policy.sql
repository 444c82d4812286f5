SELECT 'pg_policy'::regclass::oid::bigint, p.oid::bigint, 0, 'policy',
       format('policy %%I on %%I.%%I', p.polname, n.nspname, t.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'of', CASE t.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'table' END
                 || format(' %%I.%%I', n.nspname, t.relname),
           'schema', n.nspname, 'table', t.relname, 'name', p.polname,
           'command', p.polcmd, 'permissive', p.polpermissive,
           -- An empty name stands for PUBLIC.
           'roles', (SELECT jsonb_agg(CASE one WHEN 0 THEN '' ELSE pg_get_userbyid(one)::text END ORDER BY place)
                       FROM unnest(p.polroles) WITH ORDINALITY u(one, place)),
           'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid),
           'comment', obj_description(p.oid, 'pg_policy')))
  FROM pg_policy p JOIN pg_class t ON t.oid = p.polrelid JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE n.nspname = %(schema)s
 ORDER BY t.relname COLLATE "C", p.polname COLLATE "C"
