-- Enums, domains, composite types, ranges and base types. All are objects `type …`, because they share their names.
SELECT 'pg_type'::regclass::oid::bigint, t.oid::bigint, 0,
       CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range'
                      WHEN 'c' THEN 'composite' END,
       format('type %%I.%%I', n.nspname, t.typname),
       jsonb_strip_nulls(jsonb_build_object(
           'schema', n.nspname, 'name', t.typname,
           'labels', CASE t.typtype WHEN 'e' THEN
               coalesce((SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder)
                           FROM pg_enum e WHERE e.enumtypid = t.oid), '[]') END,
           'base', CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
           'collation', (SELECT nullif(t.typcollation, b.typcollation)::regcollation::text
                           FROM pg_type b WHERE t.typtype = 'd' AND b.oid = t.typbasetype),
           'default', CASE t.typtype WHEN 'd' THEN t.typdefault END,
           -- A name of its own, which is known since 17.
           'not null', CASE WHEN t.typtype = 'd' AND t.typnotnull THEN
               coalesce((SELECT format('CONSTRAINT %%I ', k.conname) FROM pg_constraint k
                          WHERE k.contypid = t.oid AND k.contype = 'n'
                            AND k.conname <> t.typname || '_not_null'), '') || 'NOT NULL' END,
           'attributes', (SELECT jsonb_agg(jsonb_build_object(
                                     'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
                                     'collation', nullif(a.attcollation, y.typcollation)::regcollation::text)
                                     ORDER BY a.attnum)
                            FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
                           WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0
                             AND NOT a.attisdropped),
           'column comments', (SELECT jsonb_object_agg(a.attname, col_description(a.attrelid, a.attnum))
                                    FROM pg_attribute a
                                   WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0
                                     AND col_description(a.attrelid, a.attnum) IS NOT NULL),
           'definition', (SELECT format('CREATE TYPE %%I.%%I AS RANGE (%%s)', n.nspname, t.typname, concat_ws(', ',
                                'subtype = ' || format_type(r.rngsubtype, NULL),
                                CASE WHEN NOT o.opcdefault THEN format('subtype_opclass = %%s.%%I',
                                    o.opcnamespace::regnamespace, o.opcname) END,
                                'collation = ' || nullif(r.rngcollation, s.typcollation)::regcollation,
                                'subtype_diff = ' || nullif(r.rngsubdiff, 0)::regproc,
                                'multirange_type_name = ' || format_type(r.rngmultitypid, NULL)))
                       FROM pg_range r JOIN pg_type s ON s.oid = r.rngsubtype
                       JOIN pg_opclass o ON o.oid = r.rngsubopc WHERE r.rngtypid = t.oid),
           'comment', obj_description(t.oid, 'pg_type'))),
       jsonb_strip_nulls(jsonb_build_object(
           'owner', pg_get_userbyid(t.typowner), 'rights', t.typacl::text))
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_class c ON c.oid = t.typrelid
 WHERE n.nspname = %(schema)s AND (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c' OR t.typtype = 'b' AND t.typcategory <> 'A')
   -- What extensions bring is theirs.
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
 ORDER BY t.typname COLLATE "C"
