SELECT 'pg_collation'::regclass::oid::bigint, c.oid::bigint, 0, 'collation',
       format('collation %%I.%%I', n.nspname, c.collname),
       jsonb_strip_nulls(jsonb_build_object(
           'schema', n.nspname, 'name', c.collname,
           'definition', format('CREATE COLLATION %%I.%%I (%%s)', n.nspname, c.collname, concat_ws(', ',
               'provider = ' || CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
               -- Until 14 ICU's locale was in collcollate, in 15 and 16 in colliculocale.
               'locale = ' || quote_literal(coalesce(
                   to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale',
                   CASE WHEN c.collprovider = 'i' THEN c.collcollate END)),
               CASE c.collprovider WHEN 'c' THEN
                   format('lc_collate = %%L, lc_ctype = %%L', c.collcollate, c.collctype) END,
               'rules = ' || quote_literal(to_jsonb(c) ->> 'collicurules'),
               CASE WHEN NOT c.collisdeterministic THEN 'deterministic = false' END)),
           'comment', obj_description(c.oid, 'pg_collation'))),
       jsonb_strip_nulls(jsonb_build_object(
           'owner', pg_get_userbyid(c.collowner)))
  FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
 WHERE n.nspname = %(schema)s
 ORDER BY c.collname COLLATE "C"
