"""The agent's control socket on its host: status, emergency stop, and what a person does about the unit.

A Unix socket in the unit's directory, one JSON line each way. Served by a thread for each request, so that a stop gets
through whatever the agent is doing and however many wait for an answer. Only the owner of the directory can reach it.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import socketserver
import threading
from collections.abc import Callable
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from labkeeper_api.errors import LabkeeperError

log = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any]], dict[str, Any]]

MAX_LINE = 16 * 1024 * 1024
"""Bytes of a request: far more than a protocol needs in the escapes of JSON; the robot takes protocols of a few MiB."""
REQUEST_SECONDS = 10.0
"""How long a client may take to send its line or to read its answer."""
CLOSE_SECONDS = 5.0
"""How long answers that are ready may still take to be read when the agent ends."""


class NoAgent(LabkeeperError):
    """No agent answers on the unit's control socket."""


class Leaving(LabkeeperError):
    """The agent ends and begins nothing new; for who asks it is as if there were none, until there is a new one."""


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    # Whoever comes when the backlog is full is turned away as if there were no agent, a stop too.
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._asking = 0
        self._changed = threading.Condition()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._asking += 1
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._changed:
                self._asking -= 1
                self._changed.notify_all()

    def wait_for_answers(self, seconds: float) -> None:
        """Wait until whoever asked has the answer, but no longer than that."""
        with self._changed:
            self._changed.wait_for(lambda: self._asking == 0, seconds)


class ControlServer:
    """Serves the control socket until closed."""

    def __init__(self, path: Path, handle: Handler) -> None:
        self._path = path

        class Request(socketserver.StreamRequestHandler):
            timeout = REQUEST_SECONDS

            def handle(self) -> None:
                try:
                    answer = _answer(handle, _line(self.rfile))
                    self.wfile.write(json.dumps(answer).encode() + b"\n")
                except OSError as error:
                    log.debug("a control request was given up: %s", error)

        path.unlink(missing_ok=True)
        # A path longer than the kernel's 108 bytes would be refused: bind by the open directory's short name.
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            self._server = _Server(f"/proc/self/fd/{directory}/{path.name}", Request)
        finally:
            os.close(directory)
        path.chmod(0o600)
        self._thread = threading.Thread(target=self._server.serve_forever, name="control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving and remove the socket. What has been asked is still answered, if that does not take long."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._server.wait_for_answers(CLOSE_SECONDS)
        self._path.unlink(missing_ok=True)


def call(path: Path, request: dict[str, Any], *, timeout: float | None = 10.0) -> dict[str, Any]:
    """Ask the agent behind a control socket and wait `timeout` seconds for the answer, or (None) while the agent lives.

    Raises `NoAgent`, at once when the agent dies, or `LabkeeperError` with the agent's refusal.
    """
    try:
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(REQUEST_SECONDS if timeout is None else timeout)
                connection.connect(f"/proc/self/fd/{directory}/{path.name}")
                connection.sendall(json.dumps(request).encode() + b"\n")
                connection.settimeout(timeout)
                with connection.makefile("rb") as stream:
                    line = stream.readline()
        finally:
            os.close(directory)
    except OSError as error:
        raise NoAgent(f"no agent answers on {path}: {error}") from error
    try:
        answer: dict[str, Any] = json.loads(line)
    except ValueError as error:
        raise NoAgent(f"the agent on {path} closed the connection without an answer") from error
    if "error" in answer:
        raise NoAgent(answer["error"]) if answer.get("leaving") else LabkeeperError(answer["error"])
    return answer


def _line(stream: BufferedIOBase) -> bytes:
    """What was sent. One that is too long is read to its end: its sender must get to the answer."""
    line = stream.readline(MAX_LINE)
    rest = line
    while len(rest) == MAX_LINE and not rest.endswith(b"\n"):
        rest = stream.readline(MAX_LINE)
    return line


def _answer(handle: Handler, line: bytes) -> dict[str, Any]:
    if len(line) >= MAX_LINE:
        return {"error": f"a request is one line of less than {MAX_LINE} bytes"}
    try:
        request = json.loads(line)
        if not isinstance(request, dict):
            return {"error": "a request is a JSON object"}
        return handle(request)
    except Leaving as error:
        return {"error": str(error), "leaving": True}
    except (LabkeeperError, ValueError) as error:
        return {"error": str(error)}
    except Exception as error:
        log.exception("control request failed")
        return {"error": f"{type(error).__name__}: {error}"}
