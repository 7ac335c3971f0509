"""How records flow through the stages: measured at Kafka itself, by one sampler for all who look."""
