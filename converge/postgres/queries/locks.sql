-- What one transaction locks that empties these tables, partitions, TOAST tables and indexes among it.
WITH RECURSIVE tables AS (
    SELECT to_regclass(format('%%I.%%I', %(schema)s::text, name))::oid AS oid FROM unnest(%(tables)s::text[]) name
    UNION SELECT inhrelid FROM pg_inherits i JOIN tables t ON t.oid = i.inhparent),
relations AS (
    SELECT oid FROM tables UNION SELECT c.reltoastrelid FROM pg_class c JOIN tables t USING (oid))
SELECT (SELECT count(*) FROM pg_class JOIN relations USING (oid))
         + (SELECT count(*) FROM pg_index i JOIN relations r ON r.oid = i.indrelid),
       current_setting('max_connections')::int
