"""Torture runs: long randomised faults that print their seed and, last, their counts. See `make torture`."""
