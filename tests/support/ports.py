"""Free TCP ports on 127.0.0.1 for servers that tests start.

Not a reservation: another program can be faster, so whoever uses a port must try another on a clash.
"""

from __future__ import annotations

import contextlib
import random
import socket

_FIRST, _LAST = 20_000, 29_999
"""Below the range that Linux takes client ports from (32768 up), and Kubernetes node ports (30000 up).

A port of the client range can be taken by any outgoing connection while its server is away, and a client that
keeps trying to reach it can even connect to itself.
"""


def free_ports(count: int) -> list[int]:
    """`count` different ports that nobody listens on at this moment."""
    with contextlib.ExitStack() as held:
        return [_bind_one(held) for _ in range(count)]


def _bind_one(held: contextlib.ExitStack) -> int:
    for port in random.sample(range(_FIRST, _LAST + 1), 200):
        candidate = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            candidate.close()
            continue
        held.enter_context(candidate)
        return port
    raise RuntimeError(f"200 ports between {_FIRST} and {_LAST} were tried and none is free on 127.0.0.1")
