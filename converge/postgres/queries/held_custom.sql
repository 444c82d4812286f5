-- What makes the users' own functions run without being named: at all DDL, in an operator, its class, a cast or a type.
SELECT CASE d.classid WHEN 'pg_operator'::regclass THEN 'operator' WHEN 'pg_cast'::regclass THEN 'cast'
                      WHEN 'pg_event_trigger'::regclass THEN 'event trigger'
                      WHEN 'pg_amproc'::regclass THEN 'operator class' ELSE 'domain or range type' END AS kind
  FROM pg_depend d JOIN pg_proc p ON p.oid = d.refobjid
 WHERE d.refclassid = 'pg_proc'::regclass AND p.oid >= 16384
   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.deptype = 'e'
                      AND ((e.classid = d.classid AND e.objid = d.objid)
                           OR (e.classid = 'pg_proc'::regclass AND e.objid = p.oid)))
   AND (d.classid IN ('pg_operator'::regclass, 'pg_amproc'::regclass, 'pg_cast'::regclass,
                     'pg_event_trigger'::regclass)
        OR (d.classid = 'pg_type'::regclass
            AND EXISTS (SELECT FROM pg_type t WHERE t.oid = d.objid AND t.typtype IN ('d', 'r')))
        OR (d.classid = 'pg_constraint'::regclass
            AND EXISTS (SELECT FROM pg_constraint c WHERE c.oid = d.objid AND c.contypid <> 0)))
 GROUP BY 1 ORDER BY 1
