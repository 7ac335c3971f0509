"""Everything that touches a Kafka client, and every patch of one."""
