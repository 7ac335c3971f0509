"""The HTTP ingress: stores each webhook call exactly as received. It has no secret and decides nothing."""
