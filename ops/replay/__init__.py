"""``paynotify replay``: re-publishes rejected and dead-lettered records."""
