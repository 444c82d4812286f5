-- The database of this session as CREATE DATABASE would make it again; the provider's columns changed with
-- 15 and 17 (PostgreSQL manual, "pg_database").
SELECT d.datname, pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,
       coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'),
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), to_jsonb(d) ->> 'daticurules',
       (SELECT coalesce(array_agg(o ORDER BY o), '{}') FROM pg_db_role_setting s, unnest(s.setconfig) o
         JOIN pg_settings g ON lower(g.name) = lower(split_part(o, '=', 1)) AND g.context = 'user'
        WHERE s.setdatabase = d.oid AND s.setrole = 0)
  FROM pg_database d WHERE d.datname = current_database()
