-- Functions that are known to change nothing, by name: no function of this name is the users' own, and all are
-- immutable, or the system's and stable (but for those that read other relations), or one of a few.
SELECT p.proname::text
  FROM pg_proc p
  CROSS JOIN LATERAL (SELECT EXISTS (
           SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
         ) AS of (extension)
 GROUP BY p.proname
HAVING bool_and(p.oid < 16384 OR of.extension)
   AND (p.proname IN ('clock_timestamp', 'gen_random_uuid', 'nextval', 'random', 'timeofday', 'uuid_generate_v1',
                      'uuid_generate_v4')
        OR bool_and(p.provolatile = 'i' OR (p.provolatile = 's' AND NOT of.extension))
           AND p.proname NOT LIKE '%%\_to\_xml%%')
