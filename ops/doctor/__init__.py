"""``paynotify doctor``: diagnoses configuration, brokers, topics and providers."""
