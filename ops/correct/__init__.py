"""``paynotify correct``: publishes an operator's correction of a payment's status."""
