SELECT 'pg_policy'::regclass::oid::bigint, p.oid::bigint, 0, 'policy',
       format('policy %%I on %%I.%%I', p.polname, n.nspname, t.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'of', CASE t.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'table' END
                 || format(' %%I.%%I', n.nspname, t.relname),
           'schema', n.nspname, 'table', t.relname, 'name', p.polname,
           'definition',
               format('CREATE POLICY %%I ON %%I.%%I AS %%s FOR %%s TO %%s', p.polname, n.nspname, t.relname,
                      CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                      CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                                    WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                      (SELECT string_agg(CASE one WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(one)) END,
                                         ', ' ORDER BY place) FROM unnest(p.polroles) WITH ORDINALITY u(one, place)))
               || coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', '')
               || coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', ''),
           'comment', obj_description(p.oid, 'pg_policy'))),
       '{}'::jsonb
  FROM pg_policy p JOIN pg_class t ON t.oid = p.polrelid JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE n.nspname = %(schema)s
 ORDER BY t.relname COLLATE "C", p.polname COLLATE "C"
