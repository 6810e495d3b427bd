"""Answering one request of a simulator's control socket. What may be asked is each simulator's own.

One JSON object per line is a request, `{"do": "stall", "on": true}`, and is answered by one line, `{"ok": true, ...}`
or `{"ok": false, "error": "..."}`. Not for the socket itself: that is `host`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

Answer = dict[str, Any]
Commands = Mapping[str, Callable[[Answer], Answer]]


def answer(line: bytes, commands: Commands) -> bytes:
    """Carry out one request; what it gives wrong is said in the answer."""
    try:
        request = json.loads(line)
        if not isinstance(request, dict) or request.get("do") not in commands:
            raise ValueError(f'give {{"do": one of {", ".join(commands)}}}')  # noqa: TRY301 - answered like the others
        result = {"ok": True, **commands[request["do"]](request)}
    except (ValueError, KeyError, TypeError) as error:
        result = {"ok": False, "error": f"{type(error).__name__}: {error}"}
    return json.dumps(result).encode() + b"\n"
