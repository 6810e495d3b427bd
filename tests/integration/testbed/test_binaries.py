"""Building the control plane: once, by one, and with errors that say what to do. The compiler here is a stand-in."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING

import pytest

from tests.cluster.controlplane import BuildError, binaries, ensure_built

if TYPE_CHECKING:
    from pathlib import Path

_GO = """#!/bin/sh
case "$1" in
env) printf '%s\\nlinux\\namd64\\n' "${FAKE_GO_VERSION:-go1.99.1}" ;;
build)
    echo build >> "$FAKE_GO_COUNT"
    echo k8s.io/api
    sleep 0.3
    if [ -n "$FAKE_GO_FAILS" ]; then echo "x.go:1:1: syntax error"; exit 2; fi
    while [ "$1" != -o ]; do shift; done
    touch "$2/server" "$2/kube-apiserver" "$2/kubectl" ;;
esac
"""


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A compiler that notes each build, on a PATH of its own, with an empty cache. The file it notes them in."""
    program = tmp_path / "bin" / "go"
    program.parent.mkdir()
    program.write_text(_GO)
    program.chmod(0o755)
    count = tmp_path / "count"
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("LABKEEPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FAKE_GO_COUNT", str(count))
    return count


def quiet(line: str) -> None:
    """Progress is not of interest."""


def test_it_is_built_once_and_says_so(go: Path) -> None:
    said: list[str] = []
    first = ensure_built(said.append)
    assert first.complete
    assert first.etcd.is_file()
    assert said[0].startswith(f"building Kubernetes {first.version}")
    said.clear()
    assert ensure_built(said.append) == first
    assert said == []
    assert go.read_text().splitlines() == ["build"]


def test_a_long_build_tells_how_far_it_is(go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_PROGRESS_EVERY", 0.0)
    said: list[str] = []
    ensure_built(said.append)
    assert said[1] == "  0 s: 1 packages so far"


def test_those_who_come_at_the_same_time_wait_for_the_first(go: Path) -> None:
    said: list[str] = []
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        found = set(pool.map(lambda _: ensure_built(said.append), range(3)))
    assert len(found) == 1
    assert go.read_text().splitlines() == ["build"]
    assert sum("another process builds" in line for line in said) == 2


def test_another_compiler_builds_anew(go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ensure_built(quiet)
    monkeypatch.setenv("FAKE_GO_VERSION", "go1.99.2")
    assert ensure_built(quiet).folder != first.folder


def test_a_failed_build_shows_what_the_compiler_said_and_keeps_nothing(
    go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_GO_FAILS", "yes")
    with pytest.raises(BuildError, match=r"exit code 2(.|\n)*x\.go:1:1: syntax error"):
        ensure_built(quiet)
    assert [entry.suffix for entry in (tmp_path / "cache" / "kube").iterdir()] == [".lock"]


def test_what_a_killed_build_left_is_cleared(go: Path, tmp_path: Path) -> None:
    built = ensure_built(quiet)
    home = built.folder.parent
    home.rename(home.with_name(f"{home.name}.tmp-killed"))
    ensure_built(quiet)
    assert not list((tmp_path / "cache" / "kube").glob("*.tmp-*"))


def test_without_go_it_says_what_to_install(go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match=r"no `go` is on PATH: install Go 1\.\d+"):
        ensure_built(quiet)


def test_an_old_go_is_refused(go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_GO_VERSION", "go1.19.8")
    with pytest.raises(BuildError, match=r"is go1\.19\.8: install Go 1\.\d+\S* or newer"):
        ensure_built(quiet)
