"""``paynotify audit``: proves from the topics that everything is accounted for."""
