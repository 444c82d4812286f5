-- Constraints of tables and domains. Of a key's index there is what its definition does not tell.
SELECT 'pg_constraint'::regclass::oid::bigint, c.oid::bigint, 0,
       CASE c.contype WHEN 'f' THEN 'foreign key' ELSE 'constraint' END,
       format('constraint %%I on ', c.conname) || format('%%I.%%I', n.nspname, coalesce(t.relname, y.typname)),
       jsonb_strip_nulls(jsonb_build_object(
           'of', format('%%s %%I.%%I', CASE WHEN t.oid IS NULL THEN 'type' ELSE 'table' END,
                        n.nspname, coalesce(t.relname, y.typname)),
           'schema', n.nspname, 'table', t.relname, 'domain', y.typname, 'name', c.conname,
           'form', c.contype,
           'definition', pg_get_constraintdef(c.oid),
           'options', x.reloptions,
           'clustered', nullif(i.indisclustered, false), 'replica identity', nullif(i.indisreplident, false),
           'index comment', obj_description(x.oid, 'pg_class'),
           'comment', obj_description(c.oid, 'pg_constraint')))
  FROM pg_constraint c
  LEFT JOIN pg_class t ON t.oid = c.conrelid
  LEFT JOIN pg_type y ON y.oid = c.contypid
  JOIN pg_namespace n ON n.oid = coalesce(t.relnamespace, y.typnamespace)
  LEFT JOIN pg_class x ON c.contype IN ('p', 'u', 'x') AND x.oid = c.conindid
  LEFT JOIN pg_index i ON i.indexrelid = x.oid
 WHERE n.nspname = %(schema)s AND c.contype IN ('p', 'u', 'x', 'c', 'f')
 ORDER BY coalesce(t.relname, y.typname) COLLATE "C", array_position('{p,u,x,c,f}', c.contype), c.conname COLLATE "C"
