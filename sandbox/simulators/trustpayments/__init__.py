"""A simulation of Trust Payments."""
