"""A potentiostat with a zinc cell on each channel, behind a socket, in a process of its own.

There is no public SDK for the real instrument, so only this exists, and everything from it says `simulated: true`. It
speaks the frames of `labkeeper_devices.wire.frames`. Run it by hand with `python -m
labkeeper_devices.simulators.squidstat --state-dir DIR --time-factor N`.

Modules, each knowing only those before it: `diffusion`, `reactions`, `cell` (chemistry), `measuring` (techniques),
`experiment` (limits, data), `instrument` (requests), `server` (socket), `control`, `process`; on the other side
`client` (looking, faults) and `launch`. Folder and loop are `common`'s.
"""

from labkeeper_devices.simulators.squidstat.client import PotentiostatControl
from labkeeper_devices.simulators.squidstat.launch import find_potentiostat, start_potentiostat

__all__ = ["PotentiostatControl", "find_potentiostat", "start_potentiostat"]
