-- Columns. Those of views and composite types are not made by themselves.
SELECT 'pg_class'::regclass::oid::bigint, a.attrelid::bigint, a.attnum::int,
       CASE WHEN c.relkind IN ('r', 'p', 'f') THEN 'column' END,
       format('column %%I.%%I.%%I', n.nspname, c.relname, a.attname),
       jsonb_strip_nulls(jsonb_build_object(
           'of', CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'c' THEN 'type'
                           ELSE 'table' END || format(' %%I.%%I', n.nspname, c.relname),
           'schema', n.nspname, 'table', c.relname, 'name', a.attname,
           'type', format_type(a.atttypid, a.atttypmod),
           -- Below a domain, by which values are cast.
           'base', CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
           'collation', nullif(a.attcollation, t.typcollation)::regcollation::text,
           'not null', nullif(a.attnotnull, false),
           'generated', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
           'identity', CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END,
           'sequence', (SELECT jsonb_build_object(
                                   'schema', sn.nspname, 'name', s.relname,
                                   'type', format_type(q.seqtypid, NULL), 'start', q.seqstart,
                                   'increment', q.seqincrement, 'min', q.seqmin, 'max', q.seqmax,
                                   'cache', q.seqcache, 'cycle', q.seqcycle)
                          FROM pg_class s JOIN pg_namespace sn ON sn.oid = s.relnamespace
                          JOIN pg_sequence q ON q.seqrelid = s.oid WHERE s.oid = i.objid),
           'storage', CASE nullif(a.attstorage, t.typstorage) WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL'
                           WHEN 'm' THEN 'MAIN' WHEN 'x' THEN 'EXTENDED' END,
           -- What SET STORAGE DEFAULT would mean, which is known since 16; EXTENDED for most.
           'usual storage', CASE WHEN t.typlen = -1 THEN CASE t.typstorage WHEN 'p' THEN 'PLAIN'
                                 WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' END END,
           'compression', CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
           'statistics', nullif((to_jsonb(a) ->> 'attstattarget')::int, -1),
           'options', a.attoptions,
           'options of the server', a.attfdwoptions,
           'sequence comment', obj_description(i.objid, 'pg_class'),
           'comment', col_description(c.oid, a.attnum))),
       jsonb_strip_nulls(jsonb_build_object(
           'place', a.attnum, 'rights', a.attacl::text,
           'inherited', nullif(a.attinhcount, 0), 'local', a.attislocal)),
       CASE WHEN %(load)s THEN jsonb_build_object(
           -- Without its schema: the types of extensions have names of their own.
           'base', regexp_replace(CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod)
                                                 ELSE format_type(a.atttypid, a.atttypmod) END,
                                  '^("([^"]|"")+"|[^". (]+)\.', ''),
           'labels', ARRAY(SELECT e.enumlabel::text FROM pg_enum e
                            WHERE e.enumtypid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
                            ORDER BY e.enumsortorder),
           'nullable', NOT (a.attnotnull OR t.typnotnull),
           -- Of a type with a length DEFAULT NULL is kept, as NULL::character varying. More than that has brackets.
           'default', CASE WHEN a.attgenerated = '' THEN
               regexp_replace(coalesce(x.text, t.typdefault, ''), '^NULL::.*', '') ELSE '' END,
           -- An identity's sequence is the column's own; a default's is what nextval() names. A name in a text is
           -- looked up at each call, so nothing depends on it.
           'sequence', coalesce(
               (SELECT format('%%I.%%I', sn.nspname, s.relname)
                  FROM pg_class s JOIN pg_namespace sn ON sn.oid = s.relnamespace WHERE s.oid = i.objid),
               (SELECT format('%%I.%%I', sn.nspname, s.relname)
                  FROM pg_depend p JOIN pg_class s ON s.oid = p.refobjid AND s.relkind = 'S'
                  JOIN pg_namespace sn ON sn.oid = s.relnamespace
                 WHERE p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass
                   AND x.text ~ '^\(?nextval\(''([^'']|'''')*''::regclass\)\)?(::[a-z ]+)?$' LIMIT 1),
               CASE WHEN x.name LIKE '%%.%%' THEN to_regclass(x.name)
                    WHEN x.name IS NOT NULL THEN to_regclass(c.relnamespace::regnamespace || '.' || x.name) END::text,
               ''),
           'collation', coalesce((SELECT format('"%%s"."%%s"', replace(ln.nspname, '"', '""'),
                                                replace(l.collname, '"', '""'))
                                    FROM pg_collation l JOIN pg_namespace ln ON ln.oid = l.collnamespace
                                   WHERE a.attcollation NOT IN (0, t.typcollation) AND l.oid = a.attcollation), '')) END
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  CROSS JOIN LATERAL (SELECT pg_get_expr(d.adbin, d.adrelid) AS text) AS e
  CROSS JOIN LATERAL (
       SELECT e.text, (regexp_match(e.text, '^nextval\(\(?''([^'']+)''::text\)?(::regclass)?\)$'))[1] AS name) AS x
  LEFT JOIN pg_depend i ON a.attidentity <> '' AND i.classid = 'pg_class'::regclass AND i.deptype = 'i'
                       AND (i.refclassid, i.refobjid, i.refobjsubid) = ('pg_class'::regclass, a.attrelid, a.attnum)
 WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c')
 ORDER BY c.relname COLLATE "C", a.attnum
