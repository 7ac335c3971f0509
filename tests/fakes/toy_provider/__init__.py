"""A payment provider of the tests: everything that adding one to the product takes, in one folder."""
