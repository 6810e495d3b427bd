"""Simulators replace the wire below a driver, never the driver. Each is a process of its own that outlives the agent."""
