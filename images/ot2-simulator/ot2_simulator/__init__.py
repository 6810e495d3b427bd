"""An OT-2 that is not there: the robot's HTTP API with Opentrons' own protocol engine behind it.

What it is for: drivers, canvases and protocols meet here what they would meet on the robot - the same shapes, the same
refusals in the same words - and tests can ask afterwards what physically happened. What it is not: a source of truth
about calibration, collisions or liquids' behaviour.

Importing this package imports nothing of Opentrons (that takes seconds); the modules that need it say so.
"""

__version__ = "0.1.0"

NAME = "simulated-ot2"
"""The robot's name in ``/health``: nobody who reads it can take this for a robot."""
