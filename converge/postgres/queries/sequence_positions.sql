-- Sequences that were used, with their last values.
SELECT s.schemaname || '.' || s.sequencename, s.increment_by, s.last_value
  FROM pg_sequences s
 WHERE s.last_value IS NOT NULL AND s.schemaname <> 'converge'
