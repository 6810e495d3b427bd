"""Decisions only: (wanted, observed, now) to a plan. Imports no kopf, Prefect, HTTP or Kubernetes client."""
