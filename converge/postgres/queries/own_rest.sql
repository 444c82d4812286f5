SELECT t.oid::bigint, 'trigger', g.tgname::text, g.tgenabled::text
  FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid
 WHERE t.relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND NOT g.tgisinternal
UNION ALL
SELECT t.oid::bigint, 'check', c.conname::text, pg_get_constraintdef(c.oid)
  FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
 WHERE t.relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND c.contype IN ('c', 'x')
 ORDER BY 1, 2, 3
