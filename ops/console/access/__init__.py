"""Who uses the console, and what each may see and do."""
