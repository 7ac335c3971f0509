"""What several commands share: reading and writing topics, times, progress."""
