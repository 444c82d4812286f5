SELECT 'pg_trigger'::regclass::oid::bigint, g.oid::bigint, 0, 'trigger',
       format('trigger %%I on %%I.%%I', g.tgname, n.nspname, t.relname),
       jsonb_strip_nulls(jsonb_build_object(
           'of', CASE t.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'table' END
                 || format(' %%I.%%I', n.nspname, t.relname),
           'schema', n.nspname, 'table', t.relname, 'name', g.tgname,
           'definition', pg_get_triggerdef(g.oid),
           'enabled', CASE g.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
                                         WHEN 'A' THEN 'ENABLE ALWAYS' END,
           'comment', obj_description(g.oid, 'pg_trigger'))),
       jsonb_strip_nulls(jsonb_build_object(
           'extensions', (SELECT jsonb_agg(e.extname ORDER BY e.extname)
                             FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                            WHERE d.classid = 'pg_trigger'::regclass AND d.objid = g.oid AND d.deptype = 'x'
                              AND d.refclassid = 'pg_extension'::regclass))),
       -- Bits of ROW, BEFORE and UPDATE, by pg_trigger.h.
       CASE WHEN %(load)s THEN jsonb_build_object('before update', g.tgtype & 19 = 19) END
  FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE n.nspname = %(schema)s
   -- 14 calls those internal that a partition has from its table; those of foreign keys are.
   AND (NOT g.tgisinternal OR g.tgparentid <> 0 AND NOT EXISTS (
            SELECT FROM pg_constraint c WHERE c.oid = g.tgconstraint AND c.contype <> 't'))
 ORDER BY t.relname COLLATE "C", g.tgname COLLATE "C"
