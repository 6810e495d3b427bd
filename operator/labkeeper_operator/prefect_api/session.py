"""Requests to Prefect's REST API over Prefect's own HTTP client, with our rules for retries and errors.

Prefect's client brings connection, authentication and CSRF. Its typed methods are not used: they upsert deployments
and cannot say "set this field to null" (docs/decisions/0003-raw-requests-to-prefect.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from labkeeper_api.conditions import Reason
from labkeeper_api.errors import LabkeeperError, Stalled, Waiting

Method = Literal["GET", "POST", "PATCH", "DELETE"]

RETRY_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between attempts while the server answers 503: SQLite is locked for moments (measured: 7 of 200 writes)."""
UNAVAILABLE_RETRY_SECONDS = 1.0
CONFLICT_RETRY_SECONDS = 1.0


class Surprise(LabkeeperError):
    """Prefect does not hold what it held a moment ago."""


class NotFound(Surprise):
    """Prefect has no such object."""


class AlreadyExists(Surprise):
    """Prefect has an object of that name already."""


class PrefectSession:
    """Requests to one Prefect server.

    `writers` is how many writes may be under way at once: one on SQLite, where several make each other fail.
    """

    def __init__(self, client: PrefectClient, *, writers: int = 1) -> None:
        self._client = client
        self._writing = asyncio.Semaphore(writers)
        self.writes = 0
        self.api_url = str(client.api_url)

    async def get(self, path: str) -> Any:
        """Read one object. Raises `NotFound`, `Waiting` or `Stalled`."""
        return await self._request("GET", path, None)

    async def query(self, path: str, body: dict[str, Any]) -> Any:
        """Read by a POST with a filter. Raises `Waiting` or `Stalled`."""
        return await self._request("POST", path, body)

    async def write(self, method: Method, path: str, body: Any = None, *, resend: bool = True) -> Any:
        """Change something. Only for requests that may be sent again: creations carry a key or are looked up after.

        `resend` False is for what must be looked up before it is sent again: then a lost answer is `Waiting`.
        Raises `NotFound`, `AlreadyExists`, `Waiting` or `Stalled`.
        """
        async with self._writing:
            self.writes += 1
            return await self._request(method, path, body, resend=resend)

    async def _request(self, method: Method, path: str, body: Any, *, resend: bool = True) -> Any:
        for pause in (*RETRY_PAUSES, None):
            try:
                response = await self._client.request(method, path, json=body)  # type: ignore[arg-type]
            except httpx.HTTPStatusError as error:
                if error.response.status_code == 503 and pause is not None:
                    await asyncio.sleep(pause)
                    continue
                raise _translated(error.response) from error
            except httpx.TransportError as error:
                if resend and isinstance(error, httpx.ReadError | httpx.RemoteProtocolError) and pause is not None:
                    await asyncio.sleep(pause)
                    continue
                raise Waiting(
                    Reason.PREFECT_UNAVAILABLE,
                    f"Prefect does not answer at {self.api_url}: {type(error).__name__} {error}".rstrip(),
                    retry_after=UNAVAILABLE_RETRY_SECONDS,
                ) from error
            return _content(response)
        raise AssertionError("the last attempt either returns or raises")


@asynccontextmanager
async def open_session(*, writers: int = 1, api_url: str | None = None) -> AsyncIterator[PrefectSession]:
    """A session with that server, else the one that Prefect's settings name (PREFECT_API_URL).

    Does not fail when the server is away: the requests will.
    """
    given: dict[Any, Any] = {PREFECT_API_URL: api_url} if api_url else {}
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0, **given}):
        async with get_client() as client:
            yield PrefectSession(client, writers=writers)


def understood(error: Waiting | Stalled | Surprise) -> Waiting | Stalled:
    """What an error means for the object whose reconciliation it ended: after a surprise another look helps."""
    if isinstance(error, Surprise):
        text = f"Prefect changed while it was looked at: {error}"
        return Waiting(Reason.PROGRESSING, text, retry_after=CONFLICT_RETRY_SECONDS)
    return error


def _content(response: httpx.Response) -> Any:
    try:
        return response.json() if response.content else None
    except ValueError as error:
        raise Waiting(
            Reason.PREFECT_UNAVAILABLE,
            f"{response.url} answers with something else than Prefect's API: check PREFECT_API_URL, which ends in /api",
            retry_after=UNAVAILABLE_RETRY_SECONDS,
        ) from error


def _translated(response: httpx.Response) -> LabkeeperError:
    code = response.status_code
    detail = _detail(response)
    if code == 404:
        return NotFound(detail)
    if code == 409 and "already exists" in detail:
        return AlreadyExists(detail)
    if code == 409 and "integrity conflict" in detail:
        # What the request refers to went away meanwhile, or somebody made the same at once: another look helps.
        return Waiting(Reason.PROGRESSING, f"Prefect answered 409: {detail}", retry_after=CONFLICT_RETRY_SECONDS)
    if code in (401, 403):
        text = f"Prefect refuses our credentials ({code}): check PREFECT_API_AUTH_STRING. {detail}"
        return Waiting(Reason.PREFECT_UNAVAILABLE, text, retry_after=UNAVAILABLE_RETRY_SECONDS)
    if code >= 500 or code == 429:
        text = f"Prefect answered {code}: {detail}"
        return Waiting(Reason.PREFECT_UNAVAILABLE, text, retry_after=UNAVAILABLE_RETRY_SECONDS)
    return Stalled(Reason.REFUSED_BY_PREFECT, f"Prefect answered {code}: {detail}")


def _detail(response: httpx.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return response.text[:500]
    if isinstance(body, dict):
        found = body.get("detail") or body.get("exception_message") or body.get("exception_detail") or body
        return str(found)[:1000]
    return str(body)[:1000]
