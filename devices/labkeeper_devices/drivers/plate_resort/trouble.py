"""Sentences for what a servo says against an instruction. What is said about its port is `common.trouble`."""

from __future__ import annotations

from typing import Final

ERROR_NUMBERS: Final = {
    1: "it could not carry the instruction out; with a hardware error it refuses torque until it is rebooted",
    2: "it does not know the instruction; check that the servo speaks protocol 2.0",
    3: "it received the packet garbled",
    4: "the value is out of range",
    5: "the data has the wrong length; check that the servo is of the X series",
    6: "the value exceeds a limit that is stored in the servo",
    7: "the register may not be written now: read only, or EEPROM while the torque is on",
}
"""Error numbers of protocol 2.0 (ROBOTIS e-manual, status packet)."""
