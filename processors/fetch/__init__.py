"""fetch: asks the provider for the authoritative status and schedules retries."""
