"""Sentences for what goes wrong with a serial port: what happened and what to check. Not for what to do about it."""

from __future__ import annotations

import errno
import os
import stat
import termios
from pathlib import Path

from labkeeper_devices.drivers.common.pyserial import comports


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
        return f"{port} is in use by {lock_holder(port)}: one process at a time may drive a device"
    return f"{port} cannot be opened: {reason(error)}"


def not_here(port: str) -> tuple[str, str] | None:
    """What is wrong with a serial port on this machine and what to do; None when it can be opened."""
    device = Path(port)
    known = sorted(listed.device for listed in comports())
    hint = f"serial ports here: {', '.join(known)}" if known else "there is no serial port on this machine"
    try:
        mode = device.stat().st_mode
    except FileNotFoundError:
        return f"there is no {device} on this machine", hint
    except OSError as error:
        return f"{device} cannot be looked at: {error.strerror}", hint
    if not stat.S_ISCHR(mode):
        return f"{device} is no serial port", hint
    if not os.access(device, os.R_OK | os.W_OK):
        return f"this user may not open {device}", "add the user to the group that owns it, usually dialout"
    return None
