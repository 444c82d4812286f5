-- The column datlocprovider is there since PostgreSQL 15.
SELECT datname::text, pg_get_userbyid(datdba)::text, pg_encoding_to_char(encoding)::text, datcollate::text,
       datctype::text,
       CASE to_jsonb(d)->>'datlocprovider' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END
  FROM pg_database d
 WHERE datname = ANY(%(databases)s)
