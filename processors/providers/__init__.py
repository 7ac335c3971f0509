"""What the stages know of a provider, and one folder for each provider."""
