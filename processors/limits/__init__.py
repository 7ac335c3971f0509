"""Limits on calls to providers: quotas per hour and rate limits. Those of the ingress are in `ingest.limits`."""
