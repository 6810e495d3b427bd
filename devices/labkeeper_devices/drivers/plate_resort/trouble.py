"""Sentences for what goes wrong on the line: what happened and what to check. Not for deciding what to do about it."""

from __future__ import annotations

import errno
import os
import termios
from pathlib import Path
from typing import Final

from labkeeper_devices.drivers.plate_resort.sdk import comports

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


def lock_holder(path: str) -> str:
    """Who holds the lock on a port, as far as the kernel tells: `process 123 (python)`, else `another process`."""
    try:
        status = Path(path).stat()
        place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        for line in Path("/proc/locks").read_text().splitlines():
            # 1: FLOCK  ADVISORY  WRITE 4242 00:18:5 0 EOF
            fields = line.split()
            if "FLOCK" in fields and place in fields:
                pid = fields[fields.index(place) - 1]
                return f"process {pid} ({Path(f'/proc/{pid}/comm').read_text().strip()})"
    except OSError:
        # /proc is a courtesy here: the refusal stands without the name of the holder.
        return "another process"
    return "another process"


def reason(error: Exception) -> str:
    """What a foreign error says; `termios.error` keeps its text in its second argument."""
    if isinstance(error, termios.error) and len(error.args) > 1:
        return str(error.args[1])
    return str(error)


def cannot_open(port: str, error: Exception) -> str:
    """Why a port cannot be opened."""
    number = getattr(error, "errno", None)
    if number == errno.ENOENT:
        known = ", ".join(sorted(listed.device for listed in comports())) or "none"
        return f"there is no port {port}; check that the adapter is plugged in (serial ports here: {known})"
    if number == errno.EACCES:
        return f"this user may not open {port}: add it to the group that owns the port, usually dialout"
    if number in (errno.EAGAIN, errno.EBUSY):
        return f"{port} is in use by {lock_holder(port)}: one process at a time may drive a servo"
    return f"{port} cannot be opened: {reason(error)}"
