"""Rabo OmniKassa (Smart Pay)."""
