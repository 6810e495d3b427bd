"""Requests to an OT-2's HTTP API, and its refusals in its own words. Not for what the answers mean: that is `answers`.

Every foreign error ends here. The errors keep apart what a caller must know after a command: `Unreached` (the request
was never sent), `Unanswered` (sent, and nobody knows whether it arrived), `Refused` (the robot said no).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx

from labkeeper_api.errors import DeviceError, DeviceUnreachable
from labkeeper_devices.drivers.ot2.answers import words_of

USUAL_PORT: Final = 31950
HEADERS: Final = {"Opentrons-Version": "*"}


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds of real time whatever a simulator's time factor."""

    connect: float = 5.0
    """For a connection."""
    answer: float = 10.0
    """For an answer that the robot gives at once."""
    load: float = 60.0
    """For an answer that takes as long as loading labware or taking in a protocol."""
    absence: float = 20.0
    """How long the robot may be away in the middle of a command before its outcome is called unknown."""
    rest: float = 180.0
    """How long the robot may take to tidy up after a run: it drops what it holds into the trash, and homes."""
    analysis: float = 600.0
    """For the analysis of a protocol."""


class Unreached(DeviceUnreachable):
    """No connection came about: what was to be asked never left."""


class Unanswered(DeviceUnreachable):
    """The connection broke or stayed silent after the request was sent: whether it was heeded, this does not say."""


class Refused(DeviceError):
    """The robot answered and said no. `status` is the HTTP status, `kind` the robot's name for the error."""

    def __init__(self, request: str, status: int, kind: str, words: str) -> None:
        self.status = status
        self.kind = kind
        self.words = words
        super().__init__(f"the robot refused {request}: {words} ({kind or 'HTTP'}, {status})")


def with_port(address: str) -> str:
    """`host:port`, with the robot's usual port where none is given."""
    return address if ":" in address else f"{address}:{USUAL_PORT}"


class RobotHttp:
    """Connections to one robot. One thread at a time; whoever must not wait for another makes one of their own."""

    def __init__(self, address: str, patience: Patience) -> None:
        """`address` with or without port. Opens nothing yet."""
        self.address = with_port(address)
        self._patience = patience
        self._client = httpx.Client(
            base_url=f"http://{self.address}",
            headers=HEADERS,
            timeout=httpx.Timeout(patience.answer, connect=patience.connect),
            trust_env=False,
            # Nothing here is encrypted; without this each client would read the system's certificates first.
            verify=False,  # noqa: S501
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """Ask. Asked a second time where a connection that stood idle turns out to be gone."""
        try:
            return self._send("GET", path, params=query)
        except Unanswered:
            return self._send("GET", path, params=query)

    def post(self, path: str, body: Any = None, *, wait: float | None = None, **query: str | int) -> dict[str, Any]:
        """Ask for something to be done; `wait` is for an answer that takes longer, in s. Never sent twice."""
        return self._send("POST", path, params=query, json=body, wait=wait)

    def patch(self, path: str, body: Any) -> dict[str, Any]:
        """Change something. Never sent twice."""
        return self._send("PATCH", path, json=body)

    def upload(self, path: str, name: str, content: str) -> dict[str, Any]:
        """Hand a file over."""
        files = {"files": (name, content.encode(), "application/octet-stream")}
        return self._send("POST", path, files=files, wait=self._patience.load)

    def _send(self, method: str, path: str, *, wait: float | None = None, **what: Any) -> dict[str, Any]:
        request = f"{method} {path}"
        if wait is not None:
            what["timeout"] = httpx.Timeout(wait, connect=self._patience.connect)
        try:
            response = self._client.request(method, path, **what)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unreached(f"the robot at {self.address} cannot be reached: {_reason(error)}") from error
        except httpx.TimeoutException as error:
            seconds = wait if wait is not None else self._patience.answer
            text = f"the robot at {self.address} did not answer {request} within {seconds:g} s"
            raise Unanswered(text) from error
        except httpx.TransportError as error:
            text = f"the connection to the robot at {self.address} was lost during {request}: {_reason(error)}"
            raise Unanswered(text) from error
        return _read(request, response)


def _read(request: str, response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = None
    if response.is_success and isinstance(body, dict):
        return body
    if not response.is_success:
        kind, words = _refusal(body)
        raise Refused(request, response.status_code, kind, words or response.text[:200] or response.reason_phrase)
    raise DeviceError(f"what answers {request} is no OT-2: {response.text[:100]!r}")


def _refusal(body: Any) -> tuple[str, str]:
    """The robot's name for the error, and its words: new routes list `errors`, old ones give a `message`."""
    if not isinstance(body, Mapping):
        return "", ""
    errors = body.get("errors")
    if isinstance(errors, list) and errors and all(isinstance(item, Mapping) for item in errors):
        return str(errors[0].get("id", "")), "; ".join(words_of(item) for item in errors)
    return "", str(body.get("message", ""))


def _reason(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__
