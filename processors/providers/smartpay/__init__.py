"""Rabo Smart Pay v3 push webhooks: events that the bank signs with a public key."""
