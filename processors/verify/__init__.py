"""verify: authenticates notifications, drops duplicates and turns each into a lookup."""
