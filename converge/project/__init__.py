"""What `converge.toml` and the variables of `.env` say: read and checked, nothing is connected."""
