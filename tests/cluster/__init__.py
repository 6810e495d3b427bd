"""Real Kubernetes for tests, built from Go modules: needs Go, not Docker."""
