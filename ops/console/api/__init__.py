"""The console's API: the same queries as the pages, for programs with tokens."""
