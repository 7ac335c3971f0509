"""The contract of the console's API: its operations, answers and problems. Its OpenAPI document follows from it."""
