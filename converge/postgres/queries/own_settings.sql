-- What ALTER ROLE and ALTER DATABASE have set for the role that logged in, the strongest first.
SELECT split_part(c, '=', 1), substr(c, strpos(c, '=') + 1),
       CASE WHEN r.oid IS NULL THEN 'the database' WHEN d.oid IS NULL THEN 'the role'
            ELSE 'the role in this database' END,
       CASE WHEN r.oid IS NULL THEN format('ALTER DATABASE %%I RESET %%I;', d.datname, split_part(c, '=', 1))
            WHEN d.oid IS NULL THEN format('ALTER ROLE %%I RESET %%I;', r.rolname, split_part(c, '=', 1))
            ELSE format('ALTER ROLE %%I IN DATABASE %%I RESET %%I;', r.rolname, d.datname, split_part(c, '=', 1)) END
  FROM pg_db_role_setting s
 CROSS JOIN unnest(s.setconfig) c
  LEFT JOIN pg_roles r ON r.oid = s.setrole
  LEFT JOIN pg_database d ON d.oid = s.setdatabase
 WHERE (s.setrole = 0 OR r.rolname = session_user) AND (s.setdatabase = 0 OR d.datname = current_database())
   AND (s.setrole, s.setdatabase) <> (0, 0)
 ORDER BY s.setrole = 0, s.setdatabase = 0, 1
