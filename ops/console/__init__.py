"""``paynotify console``: answers where a payment is, from an index of the topics that it keeps beside them."""
