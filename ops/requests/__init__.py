"""``paynotify charge``, ``capture`` and ``release``: publishes an operator's request on ``payments.requested``."""
