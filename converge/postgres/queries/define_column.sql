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
           'sequence comment', obj_description(i.objid, 'pg_class'),
           'comment', col_description(c.oid, a.attnum))),
       jsonb_strip_nulls(jsonb_build_object(
           'place', a.attnum, 'rights', a.attacl::text,
           'options of the server', a.attfdwoptions,
           'inherited', nullif(a.attinhcount, 0), 'local', a.attislocal))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN pg_depend i ON a.attidentity <> '' AND i.classid = 'pg_class'::regclass AND i.deptype = 'i'
                       AND (i.refclassid, i.refobjid, i.refobjsubid) = ('pg_class'::regclass, a.attrelid, a.attnum)
 WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c')
 ORDER BY c.relname COLLATE "C", a.attnum
