"""Canvases on this host: which devices of the lab a canvas means, and how a run of it reaches them."""
