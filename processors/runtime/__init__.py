"""How a batch becomes durable: the stage loop, the runner that feeds it, timers and health."""
