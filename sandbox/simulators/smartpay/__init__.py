"""Simulates Rabo Smart Pay's v3 push webhooks."""
