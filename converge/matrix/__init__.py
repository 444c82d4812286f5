"""`converge matrix`: one source into every version of PostgreSQL, step by step, and where they differ."""
