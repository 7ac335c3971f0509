"""BIG FISH Payment Gateway / Nevogate."""
