"""``paynotify charge``, ``capture`` and ``release``: requests that move money."""
