"""Tests of the console room: the embedded store, manifest files and validation."""
