"""End to end: the `labkeeper` command as its user meets it, with everything real behind it."""
