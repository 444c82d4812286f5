SELECT relname::text FROM pg_class
 WHERE relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND relkind IN ('v', 'm') ORDER BY 1
