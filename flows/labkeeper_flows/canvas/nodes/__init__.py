"""The types of node that a canvas may hold: for each its parameters, and its steps as a pure function."""
