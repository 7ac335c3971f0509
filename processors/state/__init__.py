"""The state of one partition: overlay, changelog, local store and timer queue."""
