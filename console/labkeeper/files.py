"""Reads manifest files and folders, with the manifests that stand beside them; says all that is wrong at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from labkeeper_api.errors import Problem
from labkeeper_api.manifests import Manifest, parse

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass
class Loaded:
    """Manifests that were asked for, and those that only stand beside them."""

    manifests: list[Manifest] = field(default_factory=list)
    beside: list[Manifest] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def all(self) -> list[Manifest]:
        """Both, what was asked for first."""
        return [*self.manifests, *self.beside]


def load(paths: Iterable[Path], *, with_siblings: bool) -> Loaded:
    """Read files, and all manifest files of folders.

    With `with_siblings`, the other manifests of a file's folder are read too, as far as they can be: what a workflow
    refers to often stands in the file beside it.
    """
    loaded = Loaded()
    files: list[Path] = []
    for path in paths:
        files.extend(_files_of(path, loaded))
    for file in files:
        _read(file, loaded)
    if with_siblings:
        for file in _siblings(files):
            loaded.beside.extend(parse(_bytes(file), str(file)).manifests)
    known: set[tuple[str, str]] = set()
    loaded.beside = [m for m in loaded.beside if _is_new(m, known, {_identity(m) for m in loaded.manifests})]
    return loaded


def manifest_files(folder: Path) -> list[Path]:
    """All manifest files of a folder, in alphabetical order."""
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())


def _files_of(path: Path, loaded: Loaded) -> list[Path]:
    if path.is_dir():
        found = manifest_files(path)
        if not found:
            hint = f"manifests end in {', '.join(SUFFIXES)}"
            loaded.problems.append(Problem("", "the folder holds no manifest", hint, source=str(path)))
        return found
    return [path]


def _read(file: Path, loaded: Loaded) -> None:
    try:
        text = file.read_bytes()
    except OSError as error:
        loaded.problems.append(Problem("", f"cannot be read: {error.strerror}", source=str(file)))
        return
    parsed = parse(text, str(file))
    loaded.manifests.extend(parsed.manifests)
    loaded.problems.extend(parsed.problems)


def _siblings(files: list[Path]) -> list[Path]:
    given = {file.resolve() for file in files}
    folders = sorted({file.resolve().parent for file in files if file.exists()})
    return [path for folder in folders for path in manifest_files(folder) if path.resolve() not in given]


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _identity(manifest: Manifest) -> tuple[str, str]:
    return manifest.object.kind, manifest.object.metadata.key


def _is_new(manifest: Manifest, known: set[tuple[str, str]], given: set[tuple[str, str]]) -> bool:
    identity = _identity(manifest)
    if identity in known or identity in given:
        return False
    known.add(identity)
    return True
