"""Tests of the api room: kinds, conditions, catalog, manifests and CRDs."""
