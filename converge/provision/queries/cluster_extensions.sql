SELECT e.name::text, v.superuser AND NOT v.trusted
  FROM pg_available_extensions e
  JOIN pg_available_extension_versions v ON v.name = e.name AND v.version = e.default_version
 WHERE e.name = ANY(%(extensions)s)
