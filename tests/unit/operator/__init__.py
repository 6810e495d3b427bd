"""Tests of the operator room: plans, verdicts, and what the controller remembers."""
