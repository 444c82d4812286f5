-- The schema's functions without arguments, each with a table whose trigger calls it.
SELECT p.proname::text,
       coalesce((SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
                  WHERE t.tgfoid = p.oid LIMIT 1), '')::text
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = %(schema)s AND p.pronargs = 0
