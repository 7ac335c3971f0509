"""What the providers of one bank share: how it writes values, and the order call of its API. Not itself a provider."""
