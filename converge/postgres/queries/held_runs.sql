-- Whether a rewrite of a relation's rows runs functions that are not the server's, by constraints, policies, indexes and keys
-- of partitions; where rows are inserted also by triggers, rules and defaults. A view leads to other relations, a foreign
-- table to another server.
-- pg_trigger.tgtype has 4 for INSERT, pg_rewrite.ev_type is 3.
WITH RECURSIVE tree AS (
    SELECT %(oid)s::oid AS oid
    UNION
    SELECT i.inhrelid FROM pg_inherits i JOIN tree ON tree.oid = i.inhparent),
parts AS (
    SELECT 'pg_attrdef'::regclass AS class, a.oid FROM pg_attrdef a JOIN tree ON tree.oid = a.adrelid
     WHERE %(inserting)s
    UNION ALL
    SELECT 'pg_constraint'::regclass, c.oid FROM pg_constraint c JOIN tree ON tree.oid = c.conrelid
    UNION ALL
    SELECT 'pg_policy'::regclass, p.oid FROM pg_policy p JOIN tree ON tree.oid = p.polrelid
    UNION ALL
    SELECT 'pg_class'::regclass, i.indexrelid FROM pg_index i JOIN tree ON tree.oid = i.indrelid
    UNION ALL
    SELECT 'pg_class'::regclass, tree.oid FROM tree)
SELECT EXISTS (SELECT FROM pg_class c JOIN tree USING (oid) WHERE c.relkind = 'v' OR (c.relkind = 'f' AND %(inserting)s))
    OR EXISTS (SELECT FROM pg_trigger t JOIN tree ON tree.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
                WHERE %(inserting)s AND t.tgenabled <> 'D' AND t.tgtype::int & 4 <> 0 AND p.oid >= 16384)
    OR EXISTS (SELECT FROM pg_rewrite r JOIN tree ON tree.oid = r.ev_class
                WHERE %(inserting)s AND r.ev_enabled <> 'D' AND r.ev_type = '3')
    OR EXISTS (SELECT FROM parts JOIN pg_depend d ON d.classid = parts.class AND d.objid = parts.oid
                WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid >= 16384
                  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass
                                     AND e.objid = d.refobjid AND e.deptype = 'e'))
