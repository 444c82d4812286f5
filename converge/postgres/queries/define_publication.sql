-- Which of the schema's tables are published: nothing that is made with them.
SELECT 'pg_publication_rel'::regclass::oid::bigint, r.oid::bigint, 0, NULL,
       format('publication %%I of %%I.%%I', p.pubname, n.nspname, t.relname),
       -- Columns and a condition since 15.
       jsonb_strip_nulls(jsonb_build_object(
           'of', 'table ' || t.oid::regclass::text,
           'columns', to_jsonb(r) -> 'prattrs', 'condition', md5(to_jsonb(r) ->> 'prqual'))),
       '{}'::jsonb
  FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
  JOIN pg_class t ON t.oid = r.prrelid JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE n.nspname = %(schema)s
 ORDER BY 5
