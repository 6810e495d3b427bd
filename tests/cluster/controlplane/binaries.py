"""Build etcd, kube-apiserver and kubectl from the pinned Go modules beside this package, once per machine.

The result is kept in the cache under a hash of all that goes into it. Not for downloading finished binaries.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.paths import cache_root
from tests.support.processes import ManagedProcess, ProcessFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODULE = Path(__file__).resolve().parent.parent
"""The folder of go.mod and go.sum."""

_PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}
_GO_NAMES = {"etcd": "server"}
"""What `go build` calls a binary, where that differs."""

_PROGRESS_EVERY = 15.0
_BUILD_TIMEOUT = 3600.0


class BuildError(RuntimeError):
    """The binaries cannot be built; the message says what to install or what the compiler said."""


@dataclass(frozen=True)
class Binaries:
    """The programs of one control plane."""

    folder: Path
    version: str
    """Of Kubernetes, as `v1.34.4`."""

    @property
    def etcd(self) -> Path:
        return self.folder / "etcd"

    @property
    def apiserver(self) -> Path:
        return self.folder / "kube-apiserver"

    @property
    def kubectl(self) -> Path:
        return self.folder / "kubectl"

    @property
    def complete(self) -> bool:
        """Whether all of them are there. The folder appears only with all of them in it."""
        return all((self.folder / name).is_file() for name in _PACKAGES)


def ensure_built(say: Callable[[str], None] = print) -> Binaries:
    """The binaries, built first if need be: about six minutes on two cores with an empty Go cache.

    Processes that ask at the same time wait for the first. `say` gets lines of progress, none if there is no
    work.
    """
    go = _find_go()
    version = kubernetes_version()
    keep = cache_root() / "kube"
    key = _key(go, version)
    binaries = Binaries(keep / key / "bin", version)
    if binaries.complete:
        return binaries
    keep.mkdir(parents=True, exist_ok=True)
    with _only_one(keep / f"{key}.lock", say):
        if not binaries.complete:
            _build(go, binaries, say)
    return binaries


def kubernetes_version() -> str:
    """The pinned version of Kubernetes, from go.mod."""
    text = (MODULE / "go.mod").read_text()
    match = re.search(r"^\s*(?:require )?k8s\.io/kubernetes (v\S+)", text, re.MULTILINE)
    if match is None:
        raise BuildError(f"{MODULE / 'go.mod'} requires no k8s.io/kubernetes")
    return match.group(1)


@dataclass(frozen=True)
class _Go:
    program: str
    version: str
    platform: str


def _find_go() -> _Go:
    wanted = _wanted_go()
    program = shutil.which("go")
    if program is None:
        raise BuildError(
            f"the test control plane is built with Go, and no `go` is on PATH: install Go {wanted} or newer"
        )
    # Inside the module, so that a Go that fetches its own newer toolchain answers as that one.
    asked = subprocess.run(
        [program, "env", "GOVERSION", "GOOS", "GOARCH"],
        cwd=MODULE,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    answer = asked.stdout.split()
    if asked.returncode != 0 or len(answer) != 3:
        said = asked.stderr or asked.stdout
        raise BuildError(f"{program} cannot be used (Go {wanted} or newer is needed):\n{said}")
    version, goos, goarch = answer
    if _as_numbers(version) < _as_numbers(wanted):
        raise BuildError(f"{program} is {version}: install Go {wanted} or newer and put it first on PATH")
    return _Go(program, version, f"{goos}/{goarch}")


def _wanted_go() -> str:
    match = re.search(r"^go (\S+)$", (MODULE / "go.mod").read_text(), re.MULTILINE)
    if match is None:
        raise BuildError(f"{MODULE / 'go.mod'} has no line `go <version>`")
    return match.group(1)


def _as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}


def _linker_flags(version: str) -> str:
    major, minor = _as_numbers(version)[:2]
    values = {
        "gitVersion": version,
        "gitMajor": str(major),
        "gitMinor": str(minor),
        "gitCommit": "",
        "gitTreeState": "archive",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(["-s -w"] + [f"-X {package}.{k}={v}" for package in packages for k, v in values.items()])


def _key(go: _Go, version: str) -> str:
    parts = [
        (MODULE / "go.mod").read_text(),
        (MODULE / "go.sum").read_text(),
        go.version,
        go.platform,
        _linker_flags(version),
    ]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f"{version}-{digest[:16]}"


@contextlib.contextmanager
def _only_one(lock: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a file lock. The kernel releases it when its holder dies, so there is no stale lock."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process builds the control plane; waiting for it ({lock})")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(go: _Go, binaries: Binaries, say: Callable[[str], None]) -> None:
    home = binaries.folder.parent
    for left in home.parent.glob(f"{home.name}.tmp-*"):  # of a build that was killed: we hold its lock
        shutil.rmtree(left)
    say(
        f"building Kubernetes {binaries.version} (etcd, kube-apiserver, kubectl) with {go.version}:"
        " about six minutes on two cores the first time"
    )
    temporary = Path(tempfile.mkdtemp(prefix=f"{home.name}.tmp-", dir=home.parent))
    try:
        _compile(go, temporary / "bin", binaries.version, say)
        if home.exists():
            shutil.rmtree(home)
        temporary.rename(home)
    finally:
        if temporary.exists():
            shutil.rmtree(temporary)


def _compile(go: _Go, output: Path, version: str, say: Callable[[str], None]) -> None:
    output.mkdir()
    log = output.parent / "build.log"
    argv = [go.program, "build", "-mod=readonly", "-trimpath", "-v", "-ldflags", _linker_flags(version)]
    argv += ["-o", f"{output}{os.sep}", *_PACKAGES.values()]
    compiler = ManagedProcess("go build", argv, log=log, cwd=MODULE, env=_environment())
    began = time.monotonic()
    compiler.start()
    try:
        _watch(compiler, began, say)
    finally:
        code = compiler.stop()
    if code != 0:
        raise BuildError(f"go build failed with exit code {code}; its last lines:\n{compiler.log_tail(25)}")
    for name in _PACKAGES:
        if name in _GO_NAMES:
            (output / _GO_NAMES[name]).rename(output / name)
    say(f"built in {time.monotonic() - began:.0f} s")


def _watch(compiler: ManagedProcess, began: float, say: Callable[[str], None]) -> None:
    told = began
    while compiler.running:
        time.sleep(0.2)
        now = time.monotonic()
        if now - began > _BUILD_TIMEOUT:
            raise ProcessFailedError(f"go build did not end within {_BUILD_TIMEOUT:g} s")
        if now - told >= _PROGRESS_EVERY:
            told = now
            say(f"  {now - began:.0f} s: {_compiled(compiler.log)} packages so far")


def _compiled(log: Path) -> int:
    lines = log.read_text(errors="replace").splitlines()
    return sum(1 for line in lines if not line.startswith("go: "))
