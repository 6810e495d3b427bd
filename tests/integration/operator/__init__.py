"""The operator as its user meets it: a process of its own, a real API server, a real Prefect server.

Objects go in with kubectl and Prefect is looked at through its REST API. Not for decisions alone: those are tested
without servers in `tests/unit`.
"""
