"""interpret: turns a provider's response into observations of payments."""
