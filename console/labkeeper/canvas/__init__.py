"""What people touch of canvases and protocols: checking, running and deploying them, and the way to the devices."""
