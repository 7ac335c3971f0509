"""Limits on calls to providers: quotas per hour, rate limits, circuits. Those of the ingress are in `ingest.limits`."""
