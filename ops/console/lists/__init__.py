"""The lists of the console, each with its filter, and what must be 0 on a good day."""
