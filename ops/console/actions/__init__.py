"""What a person changes by the console: a dry run, a reason, and then exactly what the dry run showed."""
