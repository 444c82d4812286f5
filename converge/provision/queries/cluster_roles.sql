-- Before PostgreSQL 16 whoever has CREATEROLE may grant any role that is no superuser.
SELECT r.rolname::text, r.rolcanlogin, pg_has_role(r.oid, %(become)s),
       pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION')
       OR (current_setting('server_version_num')::int < 160000 AND a.rolcreaterole AND NOT r.rolsuper)
  FROM pg_roles r
  JOIN pg_roles a ON a.rolname = current_user
 WHERE r.rolname = ANY(%(roles)s)
