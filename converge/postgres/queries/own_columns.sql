SELECT a.attrelid, a.attname::text, format_type(a.atttypid, a.atttypmod),
       -- Without its schema: the types of extensions have names of their own.
       regexp_replace(CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod)
                                     ELSE format_type(a.atttypid, a.atttypmod) END,
                      '^("([^"]|"")+"|[^". (]+)\.', ''),
       ARRAY(SELECT e.enumlabel::text FROM pg_enum e
              WHERE e.enumtypid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
              ORDER BY e.enumsortorder),
       NOT (a.attnotnull OR t.typnotnull),
       CASE a.attgenerated WHEN '' THEN coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault, '') ELSE '' END,
       CASE a.attgenerated WHEN '' THEN '' ELSE pg_get_expr(d.adbin, d.adrelid) END,
       a.attidentity <> '',
       coalesce(s.name,
                CASE WHEN n.name LIKE '%%.%%' THEN to_regclass(n.name)
                     WHEN n.name IS NOT NULL THEN to_regclass(c.relnamespace::regnamespace || '.' || n.name)
                     END::text, ''),
       CASE WHEN a.attcollation NOT IN (0, t.typcollation) THEN
            (SELECT format('"%%s"."%%s"', replace(n.nspname, '"', '""'), replace(l.collname, '"', '""'))
               FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace WHERE l.oid = a.attcollation)
            ELSE '' END
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  -- An identity's sequence is the column's own; a default's is what nextval() names.
  LEFT JOIN LATERAL (
       SELECT format('%%I.%%I', n.nspname, q.relname) AS name
         FROM pg_depend x JOIN pg_class q ON q.relkind = 'S'
         JOIN pg_namespace n ON n.oid = q.relnamespace
        WHERE (x.classid = 'pg_class'::regclass AND x.objid = q.oid AND x.refclassid = 'pg_class'::regclass
               AND x.refobjid = a.attrelid AND x.refobjsubid = a.attnum AND x.deptype = 'i')
           OR (x.classid = 'pg_attrdef'::regclass AND x.objid = d.oid AND x.refclassid = 'pg_class'::regclass
               AND x.refobjid = q.oid
               AND pg_get_expr(d.adbin, d.adrelid) ~ '^\(?nextval\(''([^'']|'''')*''::regclass\)\)?(::[a-z ]+)?$')
        LIMIT 1) s ON true
  -- A name in a text is looked up at each call, so nothing depends on it.
  LEFT JOIN LATERAL (
       SELECT (regexp_match(pg_get_expr(d.adbin, d.adrelid), '^nextval\(\(?''([^'']+)''::text\)?(::regclass)?\)$'))[1] AS name) n
       ON true
 WHERE c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND c.relkind IN ('r', 'p', 'f')
 ORDER BY a.attrelid, a.attnum
