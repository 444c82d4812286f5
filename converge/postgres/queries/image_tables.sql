-- Tables whose rows a revision may touch, with their columns by number, the numbers of their primary key, which rows
-- count, and what limits its rows; held_relations.sql says why of an extension's. Where a policy hides its rows, they
-- cannot be looked at. What limits a row is told by numbers and parse trees, which no new name changes.
WITH RECURSIVE called (class, object, used_class, used) AS (
    SELECT classid, objid, refclassid, refobjid FROM pg_depend WHERE deptype = 'n'
       AND classid IN ('pg_constraint'::regclass, 'pg_class'::regclass, 'pg_trigger'::regclass, 'pg_rewrite'::regclass)
       AND refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)
    UNION
    SELECT class, object, refclassid, refobjid FROM called JOIN pg_depend ON (classid, objid) = (used_class, used)
     WHERE deptype = 'n' AND refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)
), functions (class, object, bodies) AS (
    -- The functions that something calls, also by an operator or by another function's parsed body, as they are now.
    SELECT class, object, string_agg(body, ' ' ORDER BY body) FROM called JOIN pg_proc f ON f.oid = used, LATERAL (
           SELECT md5(concat_ws(' ', prosrc, proisstrict, proconfig,
                                regexp_replace(prosqlbody::text, ' :(stmt_)?(location|len) -?[0-9]+', '', 'g')))) b (body)
     WHERE used_class = 'pg_proc'::regclass GROUP BY class, object
)
SELECT c.oid::bigint, n.nspname, c.relname,
       (SELECT coalesce(jsonb_object_agg(a.attnum, jsonb_build_array(a.attname,
                   format_type(a.atttypid, a.atttypmod), v.parts, v.limits)), '{}')
          FROM pg_attribute a, LATERAL (
               -- The type with all that its values are made of: domains have a base, arrays elements, and so on.
               WITH RECURSIVE part (path, type, mod) AS (
                   SELECT '', a.atttypid, a.atttypmod
                   UNION ALL
                   SELECT p.path || x.step, x.type, x.mod FROM part p JOIN pg_type t ON t.oid = p.type, LATERAL (
                       SELECT '', t.typbasetype, t.typtypmod WHERE t.typtype = 'd'
                       UNION ALL SELECT '', t.typelem, p.mod WHERE t.typelem <> 0
                       UNION ALL SELECT '', r.rngsubtype, -1 FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
                       UNION ALL SELECT '.' || f.attnum, f.atttypid, f.atttypmod FROM pg_attribute f
                                  WHERE f.attrelid = t.typrelid AND f.attnum > 0 AND NOT f.attisdropped
                       ) x (step, type, mod))
               SELECT ARRAY(SELECT path || ' ' || format_type(type, mod) FROM part
                            UNION SELECT path || ' ' || enumlabel FROM part JOIN pg_enum ON enumtypid = type),
                      ARRAY(SELECT 'NOT NULL' WHERE a.attnotnull
                            UNION SELECT 'GENERATED' WHERE a.attgenerated <> ''
                            UNION SELECT path || ' NOT NULL' FROM part JOIN pg_type t ON t.oid = type WHERE t.typnotnull
                            UNION SELECT concat_ws(' ', path, regexp_replace(k.conbin::text, ' :location -?[0-9]+', '', 'g'), bodies)
                              FROM part JOIN pg_constraint k ON k.contypid = type AND k.contype = 'c'
                              LEFT JOIN functions ON (class, object) = ('pg_constraint'::regclass, k.oid))
               ) v (parts, limits)
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       (SELECT coalesce(array_agg(k ORDER BY place), '{}') FROM pg_index i,
               unnest(i.indkey::int2[]) WITH ORDINALITY u(k, place)
         WHERE i.indrelid = c.oid AND i.indisprimary AND place <= i.indnkeyatts),
       coalesce(e.condition, ''),
       ARRAY(SELECT concat_ws(' ', regexp_replace(one, ' :(stmt_)?(location|len) -?[0-9]+', '', 'g'), bodies) FROM (
             SELECT 0, 0, 'of ' || c.relpartbound::text WHERE c.relispartition
             UNION ALL SELECT 'pg_constraint'::regclass, k.oid, concat_ws(' ', 'CHECK', k.conbin)
                         FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c'
             UNION ALL SELECT 'pg_class'::regclass, i.indexrelid,
                              concat_ws(' ', 'UNIQUE', (i.indkey::int2[])[0:i.indnkeyatts - 1], i.indclass, i.indcollation,
                                        to_jsonb(i) ->> 'indnullsnotdistinct', i.indexprs, i.indpred, k.conexclop)
                         FROM pg_index i LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype = 'x'
                        WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisexclusion) AND i.indisvalid
             UNION ALL SELECT 0, 0, concat_ws(' ', 'REFERENCES', k.conkey, k.confrelid, k.confkey, k.confmatchtype)
                         FROM pg_constraint k LEFT JOIN pg_constraint p ON p.oid = k.conparentid
                        -- For each partition of the parent there is one more.
                        WHERE k.conrelid = c.oid AND k.contype = 'f' AND p.conrelid IS DISTINCT FROM k.conrelid
                          AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgconstraint = k.oid
                                             AND g.tgrelid = c.oid AND g.tgenabled IN ('D', 'R'))
             -- It may refuse rows, or change them.
             UNION ALL SELECT 'pg_trigger'::regclass, g.oid,
                              concat_ws(' ', 'TRIGGER', md5(f.prosrc), g.tgtype, g.tgattr, g.tgargs, g.tgqual)
                         FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid
                        -- Those of INSERT or UPDATE.
                        WHERE g.tgrelid = c.oid AND g.tgenabled IN ('O', 'A') AND g.tgtype & 20 <> 0
                          -- 14 calls those internal that a partition has from its table; those of foreign keys are.
                          AND (NOT g.tgisinternal OR g.tgparentid <> 0 AND NOT EXISTS (
                                  SELECT FROM pg_constraint k WHERE k.oid = g.tgconstraint AND k.contype <> 't'))
             UNION ALL SELECT 'pg_rewrite'::regclass, r.oid,
                              concat_ws(' ', 'RULE', r.ev_type, r.is_instead, r.ev_qual, r.ev_action)
                         FROM pg_rewrite r
                        WHERE r.ev_class = c.oid AND r.ev_type IN ('2', '3') AND r.ev_enabled IN ('O', 'A')
             ) limits (class, object, one) LEFT JOIN functions USING (class, object))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN (SELECT d.objid, x.extcondition[array_position(x.extconfig, d.objid)]
               FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
              WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e')
            e (oid, condition) ON e.oid = c.oid
 WHERE c.relkind = 'r' AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'converge_before')
   AND (n.nspname <> 'converge' OR %(ledger)s)
   AND n.nspname !~ '^pg_' AND NOT (n.nspname, c.relname::text) = (%(schema)s, %(version_table)s)
   AND (e.oid IS NULL OR e.condition IS NOT NULL AND has_schema_privilege(n.oid, 'USAGE')
                        AND has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') AND NOT row_security_active(c.oid))
 ORDER BY n.nspname, c.relname
