"""``paynotify export``: the status changes of payments as CSV or JSON Lines, for accountants."""
