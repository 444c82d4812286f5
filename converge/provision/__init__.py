"""`converge provision`: databases, roles and extensions, made where they are missing."""
