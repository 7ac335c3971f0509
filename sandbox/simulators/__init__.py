"""The providers as their documents describe them, unpleasant parts included, each in its own process."""
