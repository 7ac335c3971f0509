"""``paynotify forget``: finds what callers and providers sent about one payment, and deletes it as far as Kafka can."""
