"""The potentiostat simulator in a process of its own, and the real driver on it."""
