-- Sequences with their first value and their increment, whether they are to be read themselves, and the column that
-- each belongs to, by its table and number. A role that may only draw from one cannot set it back, and one without a
-- privilege changes nothing of it.
SELECT c.oid::bigint, n.nspname, c.relname, q.seqstart, q.seqincrement,
       has_sequence_privilege(q.seqrelid, 'SELECT, UPDATE'), d.refobjid::bigint, d.refobjsubid
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence q ON q.seqrelid = c.oid
  LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
                       AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
 WHERE c.relpersistence <> 't' AND has_sequence_privilege(q.seqrelid, 'SELECT, UPDATE, USAGE') AND n.nspname <> 'converge'
   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                      AND e.deptype = 'e')
 ORDER BY n.nspname, c.relname
