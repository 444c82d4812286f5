-- Columns that hold values of their own, by which COPY can fill them.
SELECT attname FROM pg_attribute
 WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
 ORDER BY attnum
