"""Helpers that tests of every room share. No tests in here."""
