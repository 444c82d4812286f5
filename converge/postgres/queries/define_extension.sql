-- All extensions. One is `called` when a function of the schema names one of its functions in its body: no
-- dependency is known of that.
SELECT 'pg_extension'::regclass::oid::bigint, e.oid::bigint, 0, 'extension',
       'extension ' || quote_ident(e.extname),
       jsonb_build_object(
           'name', e.extname, 'schema', e.extnamespace::regnamespace::text,
           'called', EXISTS (
               SELECT FROM pg_depend d
                 JOIN pg_proc own ON d.classid = 'pg_proc'::regclass AND own.oid = d.objid
                 JOIN pg_proc f ON f.pronamespace = to_regnamespace(quote_ident(%(schema)s))
                WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
                  AND strpos(f.prosrc, own.proname || '(') > 0
                  AND NOT EXISTS (SELECT FROM pg_proc same WHERE same.proname = own.proname
                                     AND same.pronamespace = 'pg_catalog'::regnamespace)
                  AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_proc'::regclass
                                     AND m.objid = f.oid AND m.deptype = 'e'))),
       '{}'::jsonb
  FROM pg_extension e WHERE e.extname <> 'plpgsql'
 ORDER BY e.extname COLLATE "C"
