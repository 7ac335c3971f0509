"""The contract: message types, topics, configuration and the terms that all other packages use."""
