"""Interlocks that are the same for every device: what must hold before a physical command begins. Pure."""

from __future__ import annotations

MIN_FREE_BYTES = 16 * 1024 * 1024
MAX_CLOCK_SKEW_SECONDS = 5.0


def refusals(*, free_bytes: int, clock_skew: float | None, held: str | None) -> list[str]:
    """Why a physical command must not begin now; empty if it may. What the device itself says is its driver's to check.

    `clock_skew` is the server's clock minus ours in seconds, None where no server was heard; `held` is why the unit may
    not move.
    """
    found = [held] if held is not None else []
    if free_bytes < MIN_FREE_BYTES:
        found.append(f"the journal's disk has only {free_bytes // 1024} KiB left; {MIN_FREE_BYTES // 1024} are needed")
    if clock_skew is not None and abs(clock_skew) > MAX_CLOCK_SKEW_SECONDS:
        found.append(
            f"this host's clock is {abs(clock_skew):.0f} s {'behind' if clock_skew > 0 else 'ahead of'} the server's; "
            f"at most {MAX_CLOCK_SKEW_SECONDS:.0f} s are allowed: set it with NTP"
        )
    return found
