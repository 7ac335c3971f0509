"""``paynotify subscriptions``: shows the subscriptions of outbound webhooks, and enables or disables one."""
