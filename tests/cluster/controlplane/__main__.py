"""The command line: a control plane to try manifests on by hand."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.cluster.controlplane.binaries import BuildError, ensure_built
from tests.cluster.controlplane.kubectl import KubectlError
from tests.cluster.controlplane.record import RunRecord
from tests.cluster.controlplane.server import ControlPlane
from tests.support.paths import cache_root
from tests.support.processes import ProcessFailedError

_NOT_RUNNING = 3
"""Exit code of `status`, as of an init script."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster.controlplane",
        description="A real Kubernetes API server with etcd on 127.0.0.1, without nodes and controllers.",
        epilog="The programs are built with Go once and kept in $LABKEEPER_CACHE (~/.cache/labkeeper).",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build etcd, kube-apiserver and kubectl, and print their folder")
    up = _with_state(commands, "up", "start in the background and print the KUBECONFIG line")
    up.add_argument("--audit", action="store_true", help="write each request to audit.log in the folder")
    _with_state(commands, "down", "end what `up` started; objects are kept for the next `up`")
    _with_state(commands, "status", f"say what runs; exit code {_NOT_RUNNING} if nothing does")
    return parser


def _with_state(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text)
    default = cache_root() / "controlplane"
    command.add_argument(
        "--state", type=Path, default=default, metavar="DIR", help="folder of data and logs (%(default)s)"
    )
    return command


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _build() -> int:
    print(ensure_built(_say).folder)
    return 0


def _up(state: Path, *, audit: bool) -> int:
    record = RunRecord.load(state)
    if record is not None and len(record.alive(state)) == len(record.pids) > 0:
        _say(f"already running: {record.url}")
    else:
        audit_log = state / "audit.log" if audit else None
        plane = ControlPlane(state, binaries=ensure_built(_say), audit_log=audit_log, detached=True)
        plane.start()
        _say(f"ready after {plane.start_seconds:.1f} s: {plane.url}, logs in {state}")
    _print_environment(state)
    return 0


def _print_environment(state: Path) -> None:
    binaries = ensure_built(_say)
    print(f"export KUBECONFIG={state / 'admin.kubeconfig'}")
    print(f"export PATH={binaries.folder}:$PATH")


def _down(state: Path) -> int:
    record = RunRecord.load(state)
    ended = record.end(state) if record else []
    _say(f"ended {', '.join(ended)}" if ended else f"nothing runs in {state}")
    return 0


def _status(state: Path) -> int:
    record = RunRecord.load(state)
    alive = record.alive(state) if record else {}
    if record is None or not alive:
        _say(f"nothing runs in {state}")
        return _NOT_RUNNING
    for name, pid in record.pids.items():
        _say(f"{name}: {f'process {pid}' if name in alive else 'ended'}")
    _say(record.url)
    _print_environment(state)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run one command; its exit code."""
    given = _parser().parse_args(argv)
    try:
        if given.command == "build":
            return _build()
        state: Path = given.state.expanduser().resolve()
        if given.command == "up":
            return _up(state, audit=given.audit)
        return _down(state) if given.command == "down" else _status(state)
    except (BuildError, ProcessFailedError, KubectlError) as error:
        _say(f"error: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
