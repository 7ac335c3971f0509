"""Trust Payments."""
