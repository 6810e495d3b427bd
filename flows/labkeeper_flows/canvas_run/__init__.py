"""Carries canvas plans out: runs, their records and results. What is to be done is decided in `canvas`."""
