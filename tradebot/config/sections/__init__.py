"""One file a TOML table."""
