"""What the console knows: rows of the topics in a disposable SQLite file."""
