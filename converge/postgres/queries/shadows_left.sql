-- Temporary databases that nobody uses any more: whoever made them was killed.
SELECT d.datname FROM pg_database d
 WHERE d.datname ~ '^converge_shadow_[0-9]+_[0-9a-f]+$' AND pg_has_role(d.datdba, 'MEMBER')
   AND split_part(d.datname, '_', 3)::bigint < extract(epoch FROM now()) - 60
   AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datname = d.datname)
