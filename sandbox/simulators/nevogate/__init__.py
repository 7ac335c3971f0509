"""A simulator of BIG FISH / Nevogate."""
