"""Tests of Labkeeper, and what they run on."""
