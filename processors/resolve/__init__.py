"""resolve: merges observations into one status per payment that never goes backwards."""
