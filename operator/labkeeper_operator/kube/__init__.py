"""The edge to Kubernetes: kopf brings what changes, `cluster` writes."""
