-- Whether anything acts when rows of a relation are written: triggers, those of foreign keys from and to it among
-- them, rules, policies, or relations that inherit from it.
SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = %(oid)s AND tgenabled <> 'D')
    OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = %(oid)s)
    OR EXISTS (SELECT FROM pg_policy WHERE polrelid = %(oid)s)
    OR EXISTS (SELECT FROM pg_inherits WHERE %(oid)s IN (inhparent, inhrelid))
