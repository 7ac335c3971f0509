"""The HTTP ingress: stores each webhook call exactly as received. Holds no secret and decides nothing."""
