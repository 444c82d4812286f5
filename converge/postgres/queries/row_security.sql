-- Tables of the schema whose policies apply to the role.
SELECT c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relrowsecurity AND row_security_active(c.oid)
