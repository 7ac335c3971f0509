"""What every long-running process needs besides its work: logs, the management port, the way to the brokers."""
