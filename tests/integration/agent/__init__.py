"""The agent as a process: real Prefect server, real SDK, simulated servo. See `tests/support/hotel.py`."""
