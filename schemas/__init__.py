"""The contract: message types, topics, configuration and the words everything else uses."""
