"""Torture runs: long randomised faults that print their seed and, last, their counts. `make torture [ONLY=] [SEED=]`."""
