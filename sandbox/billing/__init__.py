"""An example of a shop that bills subscriptions."""
