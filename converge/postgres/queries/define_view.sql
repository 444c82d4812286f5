SELECT 'pg_class'::regclass::oid::bigint, c.oid::bigint, 0,
       CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END,
       format('%%s %%I.%%I', CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END, n.nspname, c.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'schema', n.nspname, 'name', c.relname,
           'query', rtrim(pg_get_viewdef(c.oid), ';'),
           'options', c.reloptions,
           'method', (SELECT m.amname FROM pg_am m WHERE m.oid = c.relam AND m.amname <> 'heap'),
           'empty', nullif(NOT c.relispopulated, false),
           -- By which CREATE OR REPLACE VIEW knows whether it may.
           'columns', (SELECT jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod),
                                                          nullif(a.attcollation, 0)::regcollation::text)
                                        ORDER BY a.attnum)
                         FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
           'column comments', (SELECT jsonb_object_agg(a.attname, col_description(c.oid, a.attnum))
                                 FROM pg_attribute a
                                WHERE a.attrelid = c.oid AND a.attnum > 0
                                  AND col_description(c.oid, a.attnum) IS NOT NULL),
           'comment', obj_description(c.oid, 'pg_class'))),
       jsonb_strip_nulls(jsonb_build_object(
           {relation}))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relkind IN ('v', 'm')
 ORDER BY c.relname COLLATE "C"
