"""``paynotify trace``: shows everything known about one payment."""
