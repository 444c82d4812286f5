SELECT 'pg_collation'::regclass::oid::bigint, c.oid::bigint, 0, 'collation',
       format('collation %%I.%%I', n.nspname, c.collname),
       jsonb_strip_nulls(jsonb_build_object(
           'schema', n.nspname, 'name', c.collname,
           'provider', CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
           'deterministic', c.collisdeterministic,
           -- Until 14 ICU's locale was in collcollate, in 15 and 16 in colliculocale.
           'locale', coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale',
                              CASE WHEN c.collprovider = 'i' THEN c.collcollate END),
           'lc_collate', CASE c.collprovider WHEN 'c' THEN c.collcollate END,
           'lc_ctype', CASE c.collprovider WHEN 'c' THEN c.collctype END,
           'rules', to_jsonb(c) ->> 'collicurules',
           'comment', obj_description(c.oid, 'pg_collation')))
  FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
 WHERE n.nspname = %(schema)s
 ORDER BY c.collname COLLATE "C"
