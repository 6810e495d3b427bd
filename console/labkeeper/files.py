"""Reads manifest files and folders, with the manifests that stand beside them; says all that is wrong at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from labkeeper.canvas.recognition import Document, Kind, recognise
from labkeeper_api.errors import Problem
from labkeeper_api.manifests import ConfigMap, Manifest, parse, repeated

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass
class Loaded:
    """Manifests that were asked for, and those that only stand beside them.

    `passed_over` are files of a folder that hold nothing of Labkeeper's, such as a kustomization or a driver's
    configuration. `documents` are the canvases and protocols that were asked for. `config_maps` are those of all files.
    """

    manifests: list[Manifest] = field(default_factory=list)
    beside: list[Manifest] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    passed_over: list[Path] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    config_maps: list[ConfigMap] = field(default_factory=list)

    @property
    def all(self) -> list[Manifest]:
        """Both, what was asked for first."""
        return [*self.manifests, *self.beside]


def load(paths: Iterable[Path], *, with_siblings: bool) -> Loaded:
    """Read files, and all manifest files of folders.

    A file that is named must hold manifests and nothing else; one in a folder may hold what is not ours. With
    `with_siblings`, the other manifests of a file's folder are read too, as far as they can be: what a workflow refers
    to often stands in the file beside it.
    """
    loaded = Loaded()
    read: dict[Path, Path] = {}
    for path in paths:
        for file, in_folder in _files_of(path, loaded):
            if file.resolve() not in read:
                read[file.resolve()] = file
                _read(file, loaded, in_folder=in_folder)
    if loaded.passed_over and not (loaded.manifests or loaded.problems or loaded.documents):
        folder = str(loaded.passed_over[0].parent)
        loaded.problems.append(
            Problem("", "the folder holds no manifest", "its files are not Labkeeper's", source=folder)
        )
    # Within one file, reading it has told.
    across = [problem for problem in repeated(loaded.manifests) if problem not in loaded.problems]
    loaded.problems.extend(across)
    if with_siblings:
        for file in _siblings(read):
            text = _bytes(file)
            if recognise(file.name, text, among_others=True) is Kind.MANIFEST:
                parsed = parse(text, str(file), among_others=True)
                loaded.beside.extend(parsed.manifests)
                loaded.config_maps.extend(parsed.config_maps)
    known: set[tuple[str, str]] = set()
    loaded.beside = [m for m in loaded.beside if _is_new(m, known, {_identity(m) for m in loaded.manifests})]
    return loaded


def manifest_files(folder: Path) -> list[Path]:
    """All manifest files of a folder, in alphabetical order. Raises OSError."""
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())


def _files_of(path: Path, loaded: Loaded) -> list[tuple[Path, bool]]:
    """The files that a path stands for, and whether they were found in a folder."""
    if not path.is_dir():
        return [(path, False)]
    try:
        found = manifest_files(path)
    except OSError as error:
        loaded.problems.append(Problem("", f"cannot be read: {error.strerror}", source=str(path)))
        return []
    if not found:
        hint = f"manifests end in {', '.join(SUFFIXES)}"
        loaded.problems.append(Problem("", "the folder holds no manifest", hint, source=str(path)))
    return [(file, True) for file in found]


def _read(file: Path, loaded: Loaded, *, in_folder: bool) -> None:
    try:
        text = file.read_bytes()
    except OSError as error:
        loaded.problems.append(Problem("", f"cannot be read: {error.strerror}", source=str(file)))
        return
    kind = recognise(file.name, text, among_others=in_folder)
    if kind is not Kind.MANIFEST:
        loaded.documents.append(Document(kind, str(file), text))
        return
    parsed = parse(text, str(file), among_others=in_folder)
    loaded.manifests.extend(parsed.manifests)
    loaded.problems.extend(parsed.problems)
    loaded.config_maps.extend(parsed.config_maps)
    if parsed.foreign and not parsed.manifests and not parsed.problems and not parsed.config_maps:
        loaded.passed_over.append(file)


def _siblings(read: Iterable[Path]) -> list[Path]:
    given = set(read)
    found: list[Path] = []
    for folder in sorted({file.parent for file in given if file.exists()}):
        try:
            found.extend(path for path in manifest_files(folder) if path.resolve() not in given)
        except OSError:
            # What stands beside a file only helps to check it; without it there are notes about what is missing.
            continue
    return found


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
