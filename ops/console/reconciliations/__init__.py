"""What the reports of `paynotify reconcile` tell: one page for each, with links to its payments."""
