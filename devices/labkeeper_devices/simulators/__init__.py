"""Simulators replace the wire below a driver, never the driver. Each is a process that outlives the agent."""
