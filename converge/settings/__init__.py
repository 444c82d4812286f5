"""Where the servers are and what is meant: converge.toml, .env, variables, and the drivers' own files."""
