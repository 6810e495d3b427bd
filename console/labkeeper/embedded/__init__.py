"""The embedded lab: Prefect server, reconciliation, agents and simulators on this host, without Kubernetes."""
