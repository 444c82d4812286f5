-- Tables of the schema, each with why it cannot be loaded as a plain table.
SELECT c.oid, c.relname::text, pg_has_role(c.relowner, 'USAGE'), pg_get_userbyid(c.relowner)::text,
       CASE WHEN c.relkind = 'p' THEN 'it is partitioned'
            WHEN c.relkind = 'f' THEN 'it is a foreign table'
            WHEN c.relispartition THEN 'it is a partition'
            WHEN EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhparent, inhrelid)) THEN 'it inherits'
            WHEN EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid AND ev_enabled <> 'D') THEN 'it has rules'
            WHEN c.relforcerowsecurity THEN 'row security is forced on its owner, too'
            ELSE '' END
  FROM pg_class c
 WHERE c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND c.relkind IN ('r', 'p', 'f')
   AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND classid = 'pg_class'::regclass AND deptype = 'e')
 ORDER BY c.relname COLLATE "C"
