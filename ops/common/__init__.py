"""Shared by the subcommands: options, times, topic reading, record sending and terminal output."""
