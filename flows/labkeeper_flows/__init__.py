"""The flows room: what labs run, and the ways of the guides to start it."""
