"""The device room: the agent that owns a unit of hardware, the drivers under it and the simulators below the drivers."""
