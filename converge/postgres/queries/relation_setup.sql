-- What tables, views and sequences (c) have of the installation: put in for {relation} of define_*.sql.
'owner', pg_get_userbyid(c.relowner), 'rights', c.relacl::text,
'tablespace', (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace),
'extensions', (SELECT jsonb_agg(e.extname || ' ' || d.deptype::text ORDER BY e.extname)
                 FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
                  AND d.refclassid = 'pg_extension'::regclass),
'labels', (SELECT jsonb_agg(l.provider || ' ' || l.label ORDER BY l.provider) FROM pg_seclabel l
            WHERE l.classoid = 'pg_class'::regclass AND l.objoid = c.oid AND l.objsubid = 0)
