"""``paynotify schemas``: registers the JSON Schemas of the topics' values in a schema registry."""
