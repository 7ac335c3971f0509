"""A simulation of Rabo OmniKassa."""
