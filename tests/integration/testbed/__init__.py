"""Tests of the test bed itself: a helper that lies makes every other test worthless."""
