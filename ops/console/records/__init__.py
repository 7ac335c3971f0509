"""The page of one record of a topic."""
