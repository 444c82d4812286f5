-- Foreign keys of the schema's tables, and those of other schemas to them.
SELECT c.conname::text, cn.nspname::text, ct.relname::text,
       ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k(num, place)
              JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num ORDER BY k.place),
       pn.nspname::text, pt.relname::text,
       ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k(num, place)
              JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num ORDER BY k.place),
       regexp_replace(pg_get_constraintdef(c.oid), ' NOT VALID$', ''), c.convalidated,
       coalesce(obj_description(c.oid, 'pg_constraint'), '')
  FROM pg_constraint c
  JOIN pg_class ct ON ct.oid = c.conrelid JOIN pg_namespace cn ON cn.oid = ct.relnamespace
  JOIN pg_class pt ON pt.oid = c.confrelid JOIN pg_namespace pn ON pn.oid = pt.relnamespace
 WHERE c.contype = 'f' AND c.conparentid = 0
   AND to_regnamespace(quote_ident(%(schema)s)) IN (ct.relnamespace, pt.relnamespace)
 ORDER BY cn.nspname COLLATE "C", ct.relname COLLATE "C", c.conname COLLATE "C"
