"""Whether etcd and the API server can be used, and what is missing if not. An empty answer means ready."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT = 5.0


def etcd_client() -> httpx.Client:
    return httpx.Client(timeout=_TIMEOUT, trust_env=False)


def apiserver_client(authority: Path, certificate: Path, key: Path) -> httpx.Client:
    """A client that shows a certificate; `trust_env` is off because a proxy has no business on 127.0.0.1."""
    context = ssl.create_default_context(cafile=str(authority))
    context.load_cert_chain(certificate, key)
    return httpx.Client(verify=context, timeout=_TIMEOUT, trust_env=False)


def etcd_lacks(client: httpx.Client, port: int) -> str:
    """etcd is usable when it has a leader and can commit."""
    return _lacks(client, f"http://127.0.0.1:{port}/health", '"health":"true"')


def apiserver_lacks(client: httpx.Client, url: str) -> str:
    """The API server is ready when all its start hooks ran, so the built-in roles exist too."""
    return _lacks(client, f"{url}/readyz?verbose", "readyz check passed")


def _lacks(client: httpx.Client, url: str, good: str) -> str:
    try:
        response = client.get(url)
    except httpx.TransportError as error:
        return f"{url} does not answer: {type(error).__name__}: {error}"
    if response.status_code == httpx.codes.OK and good in response.text:
        return ""
    failing = [line for line in response.text.splitlines() if not line.startswith("[+]")]
    return f"{url} answers {response.status_code}: {'; '.join(failing)}"
