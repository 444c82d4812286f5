-- Constraints of the schema's tables and domains, foreign keys of other schemas to them, and indexes.
SELECT format('constraint %%I on ', c.conname)
       || coalesce(nullif(c.conrelid, 0)::regclass::text, format_type(c.contypid, NULL)),
       jsonb_strip_nulls(jsonb_build_object(
           'definition', pg_get_constraintdef(c.oid),
           'local', c.conislocal,
           'inherited', nullif(c.coninhcount, 0),
           -- Of a foreign key: triggers of its own that were switched off.
           'not enforced by', (SELECT jsonb_agg(g.tgenabled ORDER BY g.tgrelid, g.tgtype)
                                 FROM pg_trigger g WHERE g.tgconstraint = c.oid AND g.tgisinternal
                                  AND g.tgenabled <> 'O'),
           'comment', obj_description(c.oid, 'pg_constraint')))::text
  FROM pg_constraint c
  LEFT JOIN pg_class t ON t.oid = c.conrelid
  LEFT JOIN pg_class p ON p.oid = c.confrelid
  LEFT JOIN pg_type y ON y.oid = c.contypid
 WHERE c.contype <> 't'
   AND to_regnamespace(quote_ident(%(schema)s)) IN (t.relnamespace, p.relnamespace, y.typnamespace)
UNION ALL
SELECT format('index %%I.%%I', n.nspname, x.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'definition', pg_get_indexdef(x.oid),
           'tablespace', (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = x.reltablespace),
           'clustered', i.indisclustered,
           'replica identity', i.indisreplident,
           'usable', i.indisvalid AND i.indisready AND i.indislive,
           'immediate', i.indimmediate,
           'statistics', (SELECT jsonb_object_agg(a.attnum, to_jsonb(a) -> 'attstattarget') FROM pg_attribute a
                           WHERE a.attrelid = x.oid
                             AND coalesce((to_jsonb(a) ->> 'attstattarget')::int, -1) <> -1),
           'extensions', (SELECT jsonb_agg(e.extname ORDER BY e.extname)
                            FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                           WHERE d.classid = 'pg_class'::regclass AND d.objid = x.oid AND d.deptype = 'x'
                             AND d.refclassid = 'pg_extension'::regclass),
           'comment', obj_description(x.oid, 'pg_class')))::text
  FROM pg_index i
  JOIN pg_class x ON x.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = x.relnamespace
 WHERE n.nspname = %(schema)s AND x.relkind IN ('i', 'I')
