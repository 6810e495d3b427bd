"""The kinds of Labkeeper, their conditions, the flow catalog, wire types and the error tree.

This room does no I/O and imports nothing else of ours: every other room builds on it.
"""
