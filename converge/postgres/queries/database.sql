-- The database of this session as CREATE DATABASE would make it again; the provider's columns changed with
-- 15 and 17, and servers before 15 know one provider, and no word for it (PostgreSQL manual, "pg_database").
SELECT d.datname,
       format('ENCODING %%L LC_COLLATE %%L LC_CTYPE %%L', pg_encoding_to_char(d.encoding), d.datcollate, d.datctype)
         || CASE to_jsonb(d) ->> 'datlocprovider' WHEN 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %%L', locale)
                 WHEN 'b' THEN format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %%L', locale) ELSE '' END
         || coalesce(' ICU_RULES ' || quote_literal(nullif(to_jsonb(d) ->> 'daticurules', '')), ''),
       (SELECT coalesce(array_agg(o ORDER BY o), '{}') FROM pg_db_role_setting s, unnest(s.setconfig) o
         JOIN pg_settings g ON lower(g.name) = lower(split_part(o, '=', 1)) AND g.context = 'user'
        WHERE s.setdatabase = d.oid AND s.setrole = 0)
  FROM pg_database d, coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', '') locale
 WHERE d.datname = current_database()
