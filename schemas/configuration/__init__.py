"""The configuration file: its sections, merchants and secrets."""
