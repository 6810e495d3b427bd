"""The device room: the agent that owns a unit of hardware, the drivers under it, the simulators below those."""
