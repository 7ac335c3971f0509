"""The outbound webhooks: calls subscribers with the events of the result topics."""
