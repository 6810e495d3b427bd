"""The console room: what people touch. The `labkeeper` command and the embedded local lab behind it."""
