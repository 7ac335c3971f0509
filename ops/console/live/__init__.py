"""What happens now: the newest events as they come, and news for pages that are open."""
