"""The operator room: reconciles the kinds into Prefect.

`reconcile` decides (pure), `prefect_api` speaks to Prefect, `kube` speaks to Kubernetes, `controller` joins them.
"""
