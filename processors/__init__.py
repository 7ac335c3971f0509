"""The workers: one module per stage, one for the loop they all run in, ``providers`` for what is peculiar to each."""
