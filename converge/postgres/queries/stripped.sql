SELECT CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                            WHEN 'T' THEN 'TYPES' ELSE 'SCHEMAS' END
  FROM pg_default_acl d JOIN pg_roles r ON r.oid = d.defaclrole
 WHERE r.rolname = current_user AND d.defaclnamespace = 0
   AND d.defaclobjtype IN ('r', 'S', 'f', 'T', 'n')
   AND EXISTS (
         SELECT FROM aclexplode(acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END,
                                           r.oid)) need
          WHERE need.grantee = r.oid
            AND NOT EXISTS (SELECT FROM aclexplode(d.defaclacl) has
                             WHERE has.grantee IN (0, r.oid) AND has.privilege_type = need.privilege_type))
 ORDER BY 1
