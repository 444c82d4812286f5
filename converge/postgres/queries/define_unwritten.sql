-- What is in the schema and cannot be written as DDL here, each with its address, its name, and what its other
-- query does not tell of it.
SELECT u.class, u.oid, 0, u.name,
       jsonb_strip_nulls(u.facts || jsonb_build_object(
           'comment', obj_description(u.oid::oid, u.class::regclass::text::name)))
  FROM (
SELECT 'pg_class'::regclass::oid::bigint AS class, c.oid::bigint AS oid,
       CASE WHEN c.relkind = 'f' THEN 'foreign table' WHEN c.relkind = 'p' THEN 'partitioned table'
            WHEN c.relispartition THEN 'partition' WHEN c.reloftype <> 0 THEN 'typed table'
            ELSE 'inheriting table' END || format(' %%I.%%I', n.nspname, c.relname) AS name, '{}'::jsonb AS facts
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s
   AND (c.relkind IN ('f', 'p') OR c.relkind = 'r'
        AND (c.relispartition OR c.reloftype <> 0 OR EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)))
UNION ALL
SELECT 'pg_class'::regclass::oid::bigint, x.oid::bigint, format('invalid index %%I.%%I', n.nspname, x.relname),
       '{"usable": false}'
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = x.relnamespace
 WHERE n.nspname = %(schema)s AND NOT (i.indisvalid AND i.indisready AND i.indislive)
UNION ALL
SELECT 'pg_type'::regclass::oid::bigint, t.oid::bigint, format('base type %%I.%%I', n.nspname, t.typname),
       jsonb_build_object(
           'input', t.typinput, 'output', t.typoutput, 'receive', t.typreceive, 'send', t.typsend,
           'modifier', t.typmodin, 'length', t.typlen, 'by value', t.typbyval, 'alignment', t.typalign,
           'storage', t.typstorage, 'category', t.typcategory, 'default', t.typdefault)
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE n.nspname = %(schema)s AND (t.typtype = 'p' OR t.typtype = 'b' AND NOT EXISTS (
           SELECT FROM pg_type e WHERE e.typarray = t.oid))
UNION ALL
-- Its function takes the type that it makes.
SELECT 'pg_type'::regclass::oid::bigint, t.oid::bigint,
       format('range with a canonical function %%I.%%I', n.nspname, t.typname),
       jsonb_build_object('canonical', r.rngcanonical)
  FROM pg_range r JOIN pg_type t ON t.oid = r.rngtypid JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE n.nspname = %(schema)s AND r.rngcanonical <> 0
UNION ALL
SELECT 'pg_operator'::regclass::oid::bigint, o.oid::bigint, 'operator ' || o.oid::regoperator::text,
       jsonb_build_object(
           'function', o.oprcode, 'restrict', o.oprrest, 'join', o.oprjoin,
           'commutator', nullif(o.oprcom, 0)::regoperator, 'negator', nullif(o.oprnegate, 0)::regoperator,
           'merges', o.oprcanmerge, 'hashes', o.oprcanhash)
  FROM pg_operator o WHERE o.oprnamespace = to_regnamespace(quote_ident(%(schema)s))
UNION ALL
SELECT 'pg_opclass'::regclass::oid::bigint, o.oid::bigint,
       format('operator class %%I.%%I using %%I', n.nspname, o.opcname, m.amname),
       jsonb_build_object(
           'type', format_type(o.opcintype, NULL), 'storage', format_type(nullif(o.opckeytype, 0), NULL),
           'default', o.opcdefault,
           'family', (SELECT f.opfnamespace::regnamespace || '.' || quote_ident(f.opfname)
                        FROM pg_opfamily f WHERE f.oid = o.opcfamily))
  FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace JOIN pg_am m ON m.oid = o.opcmethod
 WHERE n.nspname = %(schema)s
UNION ALL
SELECT 'pg_opfamily'::regclass::oid::bigint, o.oid::bigint,
       format('operator family %%I.%%I using %%I', n.nspname, o.opfname, m.amname),
       jsonb_build_object(
           'operators', (SELECT jsonb_agg(p.told ORDER BY p.told)
                           FROM (SELECT format('%%s %%s %%s', a.amopstrategy, a.amopopr::regoperator,
                                               (SELECT s.opfname FROM pg_opfamily s WHERE s.oid = a.amopsortfamily))
                                   FROM pg_amop a WHERE a.amopfamily = o.oid) p(told)),
           'functions', (SELECT jsonb_agg(p.told ORDER BY p.told)
                           FROM (SELECT format('%%s %%s for %%s, %%s', a.amprocnum, a.amproc::regprocedure,
                                               format_type(a.amproclefttype, NULL),
                                               format_type(a.amprocrighttype, NULL))
                                   FROM pg_amproc a WHERE a.amprocfamily = o.oid) p(told)))
  FROM pg_opfamily o JOIN pg_namespace n ON n.oid = o.opfnamespace JOIN pg_am m ON m.oid = o.opfmethod
 WHERE n.nspname = %(schema)s
UNION ALL
SELECT 'pg_conversion'::regclass::oid::bigint, o.oid::bigint, format('conversion %%I.%%I', n.nspname, o.conname),
       jsonb_build_object(
           'from', pg_encoding_to_char(o.conforencoding), 'to', pg_encoding_to_char(o.contoencoding),
           'function', o.conproc, 'default', o.condefault)
  FROM pg_conversion o JOIN pg_namespace n ON n.oid = o.connamespace WHERE n.nspname = %(schema)s
UNION ALL
SELECT 'pg_ts_config'::regclass::oid::bigint, o.oid::bigint,
       format('text search configuration %%I.%%I', n.nspname, o.cfgname),
       jsonb_build_object(
           'parser', (SELECT p.prsnamespace::regnamespace || '.' || p.prsname
                        FROM pg_ts_parser p WHERE p.oid = o.cfgparser),
           'mappings', (SELECT jsonb_agg(jsonb_build_array(m.maptokentype, m.mapdict::regdictionary)
                                         ORDER BY m.maptokentype, m.mapseqno)
                          FROM pg_ts_config_map m WHERE m.mapcfg = o.oid))
  FROM pg_ts_config o JOIN pg_namespace n ON n.oid = o.cfgnamespace WHERE n.nspname = %(schema)s
UNION ALL
SELECT 'pg_ts_dict'::regclass::oid::bigint, o.oid::bigint,
       format('text search dictionary %%I.%%I', n.nspname, o.dictname),
       jsonb_build_object(
           'template', (SELECT t.tmplnamespace::regnamespace || '.' || t.tmplname
                          FROM pg_ts_template t WHERE t.oid = o.dicttemplate),
           'options', o.dictinitoption)
  FROM pg_ts_dict o JOIN pg_namespace n ON n.oid = o.dictnamespace WHERE n.nspname = %(schema)s
UNION ALL
SELECT 'pg_cast'::regclass::oid::bigint, o.oid::bigint,
       format('cast from %%s to %%s', format_type(o.castsource, NULL), format_type(o.casttarget, NULL)),
       jsonb_build_object(
           'function', nullif(o.castfunc, 0)::regprocedure, 'context', o.castcontext, 'method', o.castmethod)
  FROM pg_cast o JOIN pg_type s ON s.oid = o.castsource JOIN pg_type t ON t.oid = o.casttarget
 WHERE to_regnamespace(quote_ident(%(schema)s)) IN (s.typnamespace, t.typnamespace)
   -- The server makes one from each range to its multirange.
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_cast'::regclass AND d.objid = o.oid
                      AND d.deptype = 'i')) u
 ORDER BY 4
