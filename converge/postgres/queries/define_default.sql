-- Defaults of columns, those of views, too. They are objects of their own, because what they call may need the
-- table.
SELECT 'pg_attrdef'::regclass::oid::bigint, d.oid::bigint, 0, 'default',
       format('default of column %%I.%%I.%%I', n.nspname, c.relname, a.attname),
       jsonb_build_object(
           'of', CASE c.relkind WHEN 'v' THEN format('view %%I.%%I', n.nspname, c.relname)
                                ELSE format('column %%I.%%I.%%I', n.nspname, c.relname, a.attname) END,
           'schema', n.nspname, 'table', c.relname, 'name', a.attname, 'expression', pg_get_expr(d.adbin, d.adrelid)),
       '{}'::jsonb
  FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum AND a.attgenerated = ''
 WHERE n.nspname = %(schema)s
 ORDER BY c.relname COLLATE "C", a.attnum
