"""Tests against the real Prefect server, the real API server and real databases."""
