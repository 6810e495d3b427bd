"""Flows against a real Prefect server and the real OT-2 simulator."""
