-- The server, as far as one wanted database is concerned. Before PostgreSQL 16 whoever has CREATEROLE may grant any
-- role that is not a superuser; the column datlocprovider is there since 15. The roles of services are those of
-- docs/providers.
SELECT a.rolname::text, a.rolsuper,
       EXISTS (SELECT FROM pg_roles s WHERE pg_has_role(s.oid, 'MEMBER')
                  AND s.rolname IN ('rds_superuser', 'cloudsqlsuperuser', 'alloydbsuperuser', 'azure_pg_admin')),
       a.rolcreatedb, a.rolcreaterole,
       r.rolcanlogin, coalesce(pg_has_role(r.oid, CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END),
                false),
       coalesce(pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION')
                OR (current_setting('server_version_num')::int < 160000 AND a.rolcreaterole AND NOT r.rolsuper),
                false),
       pg_get_userbyid(d.datdba)::text, pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text,
       CASE to_jsonb(d)->>'datlocprovider' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
       (SELECT t.datallowconn AND has_database_privilege(t.oid, 'CONNECT') FROM pg_database t WHERE t.datname = %(template)s),
       pg_encoding_to_char(pg_char_to_encoding(%(encoding)s))::text,
       (SELECT coalesce(jsonb_object_agg(e.name, v.superuser AND NOT v.trusted), '{}')
          FROM pg_available_extensions e
          JOIN pg_available_extension_versions v ON v.name = e.name AND v.version = e.default_version
         WHERE e.name = ANY(%(extensions)s))
  FROM pg_roles a
  LEFT JOIN pg_roles r ON r.rolname = %(role)s
  LEFT JOIN pg_database d ON d.datname = %(database)s
 WHERE a.rolname = current_user
