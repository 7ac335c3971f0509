"""``paynotify history``: what operators did, when and why."""
