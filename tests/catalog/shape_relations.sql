-- The schema, its tables, views, sequences and composite types, each as a text by which it is compared later.
SELECT 'schema ' || quote_ident(n.nspname),
       jsonb_strip_nulls(jsonb_build_object(
           'owner', pg_get_userbyid(n.nspowner), 'rights', n.nspacl::text,
           'comment', obj_description(n.oid, 'pg_namespace')))::text
  FROM pg_namespace n WHERE n.nspname = %(schema)s
UNION ALL
SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'f' THEN 'foreign table'
                      WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
                      ELSE 'composite type' END || format(' %%I.%%I', n.nspname, c.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'owner', pg_get_userbyid(c.relowner),
           'rights', c.relacl::text,
           'persistence', c.relpersistence,
           'options', c.reloptions,
           'options of TOAST', (SELECT t.reloptions FROM pg_class t WHERE t.oid = c.reltoastrelid),
           'tablespace', (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace),
           'method', (SELECT m.amname FROM pg_am m WHERE m.oid = c.relam),
           'row security', c.relrowsecurity,
           'row security forced', c.relforcerowsecurity,
           'replica identity', c.relreplident,
           'of', (SELECT format_type(t.oid, NULL) FROM pg_type t WHERE t.oid = c.reloftype),
           'inherits', (SELECT jsonb_agg(i.inhparent::regclass::text ORDER BY i.inhseqno)
                          FROM pg_inherits i WHERE i.inhrelid = c.oid),
           'partition', pg_get_expr(c.relpartbound, c.oid),
           'partition key', pg_get_partkeydef(c.oid),
           'server', (SELECT jsonb_build_array(s.srvname, f.ftoptions) FROM pg_foreign_table f
                        JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid),
           'query', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
           'populated', CASE WHEN c.relkind = 'm' THEN c.relispopulated END,
           'sequence', (SELECT jsonb_build_array(format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement,
                                                 q.seqmin, q.seqmax, q.seqcache, q.seqcycle)
                          FROM pg_sequence q WHERE q.seqrelid = c.oid),
           'owned by', (SELECT jsonb_agg(jsonb_build_array(d.refobjid::regclass::text, a.attname, d.deptype)
                                         ORDER BY d.refobjid, d.refobjsubid)
                          FROM pg_depend d
                          JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                         WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid
                           AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')),
           'extensions', (SELECT jsonb_agg(e.extname || ' ' || d.deptype::text ORDER BY e.extname)
                            FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                           WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
                             AND d.refclassid = 'pg_extension'::regclass),
           'labels', (SELECT jsonb_agg(l.provider || ' ' || l.label ORDER BY l.provider) FROM pg_seclabel l
                       WHERE l.classoid = 'pg_class'::regclass AND l.objoid = c.oid AND l.objsubid = 0),
           'comment', obj_description(c.oid, 'pg_class')))::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S', 'c')
UNION ALL
SELECT format('column %%I.%%I.%%I', n.nspname, c.relname, a.attname),
       jsonb_strip_nulls(jsonb_build_object(
           'place', a.attnum,
           'type', format_type(a.atttypid, a.atttypmod),
           'not null', a.attnotnull,
           'default', pg_get_expr(d.adbin, d.adrelid),
           'identity', nullif(a.attidentity, ''),
           'generated', nullif(a.attgenerated, ''),
           'collation', nullif(a.attcollation, t.typcollation)::regcollation::text,
           'storage', a.attstorage,
           'compression', nullif(a.attcompression, ''),
           'statistics', to_jsonb(a) -> 'attstattarget',
           'options', a.attoptions,
           'options of the server', a.attfdwoptions,
           'inherited', nullif(a.attinhcount, 0),
           'local', a.attislocal,
           'rights', a.attacl::text,
           'comment', col_description(c.oid, a.attnum)))::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c')
