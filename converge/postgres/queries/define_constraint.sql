-- Constraints of tables and domains, and foreign keys of other schemas to them. Of a key's index there is what
-- its definition does not tell.
WITH actions (type, name) AS (
    VALUES ('a'::"char", 'NO ACTION'), ('r', 'RESTRICT'), ('c', 'CASCADE'), ('n', 'SET NULL'), ('d', 'SET DEFAULT'))
SELECT 'pg_constraint'::regclass::oid::bigint, c.oid::bigint, 0,
       -- For each partition that a key leads to, the server makes one more, under a name of its choice.
       CASE WHEN n.nspname <> %(schema)s OR c.contype NOT IN ('p', 'u', 'x', 'c', 'f') OR EXISTS (
                SELECT FROM pg_constraint p WHERE p.oid = c.conparentid AND p.conrelid = c.conrelid) THEN NULL
            WHEN c.contype = 'f' THEN 'foreign key' ELSE 'constraint' END,
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
           -- Of a foreign key: triggers of its own that were switched off.
           'not enforced by', (SELECT jsonb_agg(g.tgenabled ORDER BY g.tgrelid, g.tgtype)
                                 FROM pg_trigger g
                                WHERE g.tgisinternal AND g.tgenabled <> 'O' AND g.tgconstraint = ANY (
                                      c.oid || ARRAY(SELECT k.oid FROM pg_constraint k
                                                      WHERE k.conparentid = c.oid AND k.conrelid = c.conrelid))),
           'comment', obj_description(c.oid, 'pg_constraint'))),
       jsonb_strip_nulls(jsonb_build_object(
           'local', c.conislocal, 'inherited', nullif(c.coninhcount, 0))),
       CASE WHEN %(load)s THEN jsonb_build_object(
           'columns', ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k(num, place)
                              JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num ORDER BY k.place),
           'parent', (SELECT jsonb_build_array(pn.nspname, p.relname) FROM pg_class p
                        JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE p.oid = c.confrelid),
           'parent columns', ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k(num, place)
                              JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num ORDER BY k.place),
           'on delete', (SELECT a.name FROM actions a WHERE a.type = c.confdeltype)
                        -- PostgreSQL 15: SET NULL (some columns).
                        || CASE WHEN to_jsonb(c) ->> 'confdelsetcols' IS NULL THEN '' ELSE ' of some columns' END,
           -- What lets the role add a foreign key again: its table's owner does it, and may refer to the parent.
           'grants', CASE
               WHEN NOT pg_has_role(t.relowner, 'USAGE') THEN
                   format('GRANT %%I TO %%I;', pg_get_userbyid(t.relowner), current_user)
               WHEN (SELECT NOT has_schema_privilege(p.relnamespace, 'USAGE')
                       OR NOT (SELECT bool_and(has_column_privilege(p.oid, k.num, 'REFERENCES'))
                                 FROM unnest(c.confkey) k(num)) FROM pg_class p WHERE p.oid = c.confrelid) THEN
                   (SELECT format('GRANT USAGE ON SCHEMA %%1$I TO %%3$I; GRANT REFERENCES ON %%1$I.%%2$I TO %%3$I;',
                                  pn.nspname, p.relname, current_user)
                      FROM pg_class p JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE p.oid = c.confrelid)
               ELSE '' END,
           'on update', (SELECT a.name FROM actions a WHERE a.type = c.confupdtype),
           'of a partition', c.conparentid <> 0, 'partitioned', t.relkind = 'p') END
  FROM pg_constraint c
  LEFT JOIN pg_class t ON t.oid = c.conrelid
  LEFT JOIN pg_type y ON y.oid = c.contypid
  JOIN pg_namespace n ON n.oid = coalesce(t.relnamespace, y.typnamespace)
  LEFT JOIN pg_class x ON c.contype IN ('p', 'u', 'x') AND x.oid = c.conindid
  LEFT JOIN pg_index i ON i.indexrelid = x.oid
 WHERE c.contype <> 't' AND (n.nspname = %(schema)s OR to_regnamespace(quote_ident(%(schema)s)) = (
           SELECT p.relnamespace FROM pg_class p WHERE p.oid = c.confrelid))
 ORDER BY coalesce(t.relname, y.typname) COLLATE "C", array_position('{p,u,x,c,f}', c.contype), c.conname COLLATE "C"
