-- What is in the schema and cannot be written as DDL here, each with its address and its name.
SELECT 'pg_class'::regclass::oid::bigint, c.oid::bigint, 0,
       CASE WHEN c.relkind = 'f' THEN 'foreign table' WHEN c.relkind = 'p' THEN 'partitioned table'
            WHEN c.relispartition THEN 'partition' WHEN c.reloftype <> 0 THEN 'typed table'
            ELSE 'inheriting table' END || format(' %%I.%%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s
   AND (c.relkind IN ('f', 'p') OR c.relkind = 'r'
        AND (c.relispartition OR c.reloftype <> 0 OR EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)))
UNION ALL
SELECT 'pg_class'::regclass::oid::bigint, x.oid::bigint, 0, format('invalid index %%I.%%I', n.nspname, x.relname)
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = x.relnamespace
 WHERE n.nspname = %(schema)s AND x.relkind = 'i' AND NOT (i.indisvalid AND i.indisready AND i.indislive)
UNION ALL
SELECT 'pg_type'::regclass::oid::bigint, t.oid::bigint, 0, format('base type %%I.%%I', n.nspname, t.typname)
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE n.nspname = %(schema)s AND (t.typtype = 'p' OR t.typtype = 'b' AND NOT EXISTS (
           SELECT FROM pg_type e WHERE e.typarray = t.oid))
UNION ALL
-- Its function takes the type that it makes.
SELECT 'pg_type'::regclass::oid::bigint, t.oid::bigint, 0,
       format('range with a canonical function %%I.%%I', n.nspname, t.typname)
  FROM pg_range r JOIN pg_type t ON t.oid = r.rngtypid JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE n.nspname = %(schema)s AND r.rngcanonical <> 0
UNION ALL
SELECT 'pg_operator'::regclass::oid::bigint, o.oid::bigint, 0, 'operator ' || o.oid::regoperator::text
  FROM pg_operator o WHERE o.oprnamespace = to_regnamespace(quote_ident(%(schema)s))
UNION ALL
SELECT 'pg_opclass'::regclass::oid::bigint, o.oid::bigint, 0, format('operator class %%I.%%I', n.nspname, o.opcname)
  FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace WHERE n.nspname = %(schema)s
UNION ALL
SELECT 'pg_opfamily'::regclass::oid::bigint, o.oid::bigint, 0, format('operator family %%I.%%I', n.nspname, o.opfname)
  FROM pg_opfamily o JOIN pg_namespace n ON n.oid = o.opfnamespace WHERE n.nspname = %(schema)s
UNION ALL
SELECT 'pg_conversion'::regclass::oid::bigint, o.oid::bigint, 0, format('conversion %%I.%%I', n.nspname, o.conname)
  FROM pg_conversion o JOIN pg_namespace n ON n.oid = o.connamespace WHERE n.nspname = %(schema)s
UNION ALL
SELECT 'pg_ts_config'::regclass::oid::bigint, o.oid::bigint, 0,
       format('text search configuration %%I.%%I', n.nspname, o.cfgname)
  FROM pg_ts_config o JOIN pg_namespace n ON n.oid = o.cfgnamespace WHERE n.nspname = %(schema)s
UNION ALL
SELECT 'pg_ts_dict'::regclass::oid::bigint, o.oid::bigint, 0,
       format('text search dictionary %%I.%%I', n.nspname, o.dictname)
  FROM pg_ts_dict o JOIN pg_namespace n ON n.oid = o.dictnamespace WHERE n.nspname = %(schema)s
UNION ALL
SELECT 'pg_cast'::regclass::oid::bigint, o.oid::bigint, 0,
       format('cast from %%s to %%s', format_type(o.castsource, NULL), format_type(o.casttarget, NULL))
  FROM pg_cast o JOIN pg_type s ON s.oid = o.castsource JOIN pg_type t ON t.oid = o.casttarget
 WHERE to_regnamespace(quote_ident(%(schema)s)) IN (s.typnamespace, t.typnamespace)
   -- The server makes one from each range to its multirange.
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_cast'::regclass AND d.objid = o.oid
                      AND d.deptype = 'i')
 ORDER BY 4
