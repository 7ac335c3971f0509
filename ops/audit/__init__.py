"""``paynotify audit``: verifies from the topics that everything is accounted for."""
