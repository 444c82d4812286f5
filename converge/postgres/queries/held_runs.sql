-- Whether what happens to rows of a relation runs triggers, rules, or functions of defaults and checks that are
-- not the server's. A view leads to other relations. The server's own triggers have its own functions.
WITH RECURSIVE tree AS (
    SELECT %(oid)s::oid AS oid
    UNION
    SELECT i.inhrelid FROM pg_inherits i JOIN tree ON tree.oid = i.inhparent),
parts AS (
    SELECT 'pg_attrdef'::regclass AS class, a.oid FROM pg_attrdef a JOIN tree ON tree.oid = a.adrelid
    UNION ALL
    SELECT 'pg_constraint'::regclass, c.oid FROM pg_constraint c JOIN tree ON tree.oid = c.conrelid)
SELECT EXISTS (SELECT FROM pg_class c JOIN tree USING (oid) WHERE c.relkind = 'v')
    OR EXISTS (SELECT FROM pg_trigger t JOIN tree ON tree.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
                WHERE t.tgenabled <> 'D' AND t.tgtype::int & %(events)s <> 0
                  AND p.pronamespace <> 'pg_catalog'::regnamespace)
    OR EXISTS (SELECT FROM pg_rewrite r JOIN tree ON tree.oid = r.ev_class
                WHERE r.ev_enabled <> 'D' AND r.ev_type::text = ANY (%(rules)s::text[]))
    OR EXISTS (SELECT FROM parts JOIN pg_depend d ON d.classid = parts.class AND d.objid = parts.oid
                WHERE d.refclassid = 'pg_proc'::regclass
                  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass
                                     AND e.objid = d.refobjid AND e.deptype = 'e'))
