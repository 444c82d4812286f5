-- Tables whose rows a revision may touch, with their columns by number and the numbers of their primary key.
SELECT c.oid::bigint, n.nspname, c.relname,
       (SELECT coalesce(jsonb_object_agg(a.attnum, jsonb_build_array(a.attname,
                   format_type(a.atttypid, a.atttypmod))), '{}')
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       (SELECT coalesce(array_agg(k ORDER BY place), '{}') FROM pg_index i,
               unnest(i.indkey::int2[]) WITH ORDINALITY u(k, place)
         WHERE i.indrelid = c.oid AND i.indisprimary AND place <= i.indnkeyatts)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'converge', 'converge_before')
   AND n.nspname !~ '^pg_' AND NOT (n.nspname, c.relname::text) = (%(schema)s, %(version_table)s)
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND d.deptype = 'e')
 ORDER BY n.nspname, c.relname
