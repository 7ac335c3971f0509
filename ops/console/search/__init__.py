"""The search by an id's beginning."""
