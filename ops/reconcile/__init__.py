"""``paynotify reconcile``: compares payments with the provider's list or a shop's export."""
