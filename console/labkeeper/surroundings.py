"""Looks at the machine: what of the embedded lab's, the hardware's and a cluster's needs is there. Changes nothing."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import httpx

MIN_FREE_BYTES = 512 * 1024 * 1024


class Verdict(StrEnum):
    """Whether something is there; `optional` things are needed only for what their hint names."""

    OK = "ok"
    MISSING = "missing"
    OPTIONAL = "optional"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    verdict: Verdict
    found: str
    hint: str = ""


def examine(home: Path) -> list[Finding]:
    """Look at everything."""
    return [
        _python(),
        *(_package(name, module) for name, module in (("prefect", "prefect.server.api.server"), ("kopf", "kopf"))),
        _package("dynamixel-sdk", "dynamixel_sdk"),
        _ot2_simulator(),
        _home(home),
        _disk(home),
        _port(),
        _prefect_api(),
        _serial_ports(),
        _dialout(),
        _kubectl(),
        _cluster(),
        _tool("go", "builds the control plane for `make test`", ["go", "version"]),
        _tool("git", "for GitOps and `make test`", ["git", "--version"]),
    ]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding("Python", Verdict.OK, version)
    return Finding("Python", Verdict.MISSING, version, "Labkeeper needs 3.11 to 3.13")


def _package(name: str, module: str) -> Finding:
    try:
        importlib.import_module(module)
    except Exception as error:  # noqa: BLE001 - whatever keeps it from being imported is the finding
        return Finding(name, Verdict.MISSING, f"{type(error).__name__}: {error}", "run `make setup`")
    return Finding(name, Verdict.OK, importlib.metadata.version(name))


def _ot2_simulator() -> Finding:
    """A Python with the simulator: a project of its own, since its packages do not go with ours."""
    named = os.environ.get("LABKEEPER_OT2_SIMULATOR")
    own = Path(__file__).resolve().parents[2] / "images" / "ot2-simulator" / ".venv" / "bin" / "python"
    python = Path(named) if named else own
    hint = "for simulated OT-2 robots: run `make setup`, or name a Python with LABKEEPER_OT2_SIMULATOR"
    if not python.exists():
        return Finding("OT-2 simulator", Verdict.OPTIONAL, f"no {python}", hint)
    # In a folder of its own: beside the sources it would be found without being installed.
    done = subprocess.run(
        [str(python), "-P", "-c", "import ot2_simulator, opentrons; print(opentrons.__version__)"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or "it ended without a word").splitlines()[-1]
        return Finding("OT-2 simulator", Verdict.OPTIONAL, f"{python}: {last}", hint)
    return Finding("OT-2 simulator", Verdict.OK, f"{python}, opentrons {done.stdout.split()[-1]}")


def _home(home: Path) -> Finding:
    nearest = next(path for path in (home, *home.parents) if path.exists())
    if os.access(nearest, os.W_OK):
        return Finding("home", Verdict.OK, str(home))
    return Finding("home", Verdict.MISSING, f"{nearest} is not writable", "give another with LABKEEPER_HOME")


def _disk(home: Path) -> Finding:
    nearest = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(nearest).free
    text = f"{free / 1024**3:.1f} GiB free at {nearest}"
    if free >= MIN_FREE_BYTES:
        return Finding("disk", Verdict.OK, text)
    return Finding("disk", Verdict.MISSING, text, "at least 0.5 GiB")


def _port() -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 4200))
        except OSError:
            return Finding("port 4200", Verdict.OPTIONAL, "taken", "the embedded lab then takes another port")
    return Finding("port 4200", Verdict.OK, "free for the Prefect server")


def _prefect_api() -> Finding:
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        hint = "set it for an agent or operator; the embedded lab brings its own server"
        return Finding("PREFECT_API_URL", Verdict.OPTIONAL, "not set", hint)
    try:
        answer = httpx.get(f"{url}/health", timeout=5.0)
    except httpx.HTTPError as error:
        return Finding("PREFECT_API_URL", Verdict.OPTIONAL, f"{url} does not answer: {error}", "is the server up?")
    return Finding("PREFECT_API_URL", Verdict.OK, f"{url} answers {answer.status_code}")


def _serial_ports() -> Finding:
    ports = sorted(str(p) for pattern in ("ttyUSB*", "ttyACM*") for p in Path("/dev").glob(pattern))
    if ports:
        return Finding("serial ports", Verdict.OK, ", ".join(ports))
    return Finding("serial ports", Verdict.OPTIONAL, "none", "for hardware: plug in the USB adapter")


def _dialout() -> Finding:
    ports = [p for pattern in ("ttyUSB*", "ttyACM*") for p in Path("/dev").glob(pattern)]
    closed = [str(p) for p in ports if not os.access(p, os.R_OK | os.W_OK)]
    if closed:
        return Finding("serial access", Verdict.OPTIONAL, f"no right to {', '.join(closed)}", "join group dialout")
    return Finding("serial access", Verdict.OK, "nothing is closed to this user")


def _kubectl() -> Finding:
    return _tool("kubectl", "for a cluster", ["kubectl", "version", "--client", "-o", "yaml"])


def _cluster() -> Finding:
    if shutil.which("kubectl") is None:
        return Finding("cluster", Verdict.OPTIONAL, "kubectl is not here", "for a cluster")
    command = ["kubectl", "get", "crd", "labworkflows.labkeeper.dev", "-o", "name", "--request-timeout=5s"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    if done.returncode == 0:
        return Finding("cluster", Verdict.OK, "reachable, and it knows the kinds")
    lines = (done.stderr.strip() or "no answer").splitlines()
    return Finding("cluster", Verdict.OPTIONAL, lines[-1], "for a cluster: kubectl apply -f charts/labkeeper/crds")


def _tool(name: str, purpose: str, command: list[str]) -> Finding:
    if shutil.which(command[0]) is None:
        return Finding(name, Verdict.OPTIONAL, "not found", purpose)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    lines = [line.strip() for line in done.stdout.splitlines() if any(c.isdigit() for c in line)]
    return Finding(name, Verdict.OK, lines[0] if lines else "found")
