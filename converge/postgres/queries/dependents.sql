-- Objects of others that depend on these, as DROP without CASCADE refuses them.
WITH RECURSIVE gone (classid, objid) AS (
    SELECT 'pg_class'::regclass::oid, to_regclass(n)::oid FROM unnest(%(relations)s::text[]) n
    UNION
    SELECT 'pg_type'::regclass::oid, to_regtype(n)::oid FROM unnest(%(types)s::text[]) n
    UNION
    SELECT 'pg_proc'::regclass::oid, to_regprocedure(n)::oid FROM unnest(%(functions)s::text[]) n
    UNION
    -- What goes with them: indexes, defaults, rules, partitions, owned sequences, types of rows and arrays.
    SELECT d.classid, d.objid
      FROM gone JOIN pg_depend d ON (d.refclassid, d.refobjid) = (gone.classid, gone.objid)
     WHERE d.deptype IN ('a', 'i', 'P', 'S')
)
SELECT CASE WHEN r.oid IS NULL THEN pg_describe_object(d.classid, d.objid, d.objsubid)
            -- Of a view it is the rule that reads.
            ELSE pg_describe_object('pg_class'::regclass, r.ev_class, 0) END AS other,
       max(pg_describe_object(d.refclassid, d.refobjid, 0))
  FROM gone JOIN pg_depend d ON (d.refclassid, d.refobjid) = (gone.classid, gone.objid)
       LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
 WHERE d.deptype = 'n' AND (d.classid, d.objid) NOT IN (SELECT classid, objid FROM gone WHERE objid IS NOT NULL)
 GROUP BY 1 ORDER BY 1
