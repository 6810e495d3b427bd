"""`labkeeper up`: keeps a lab running on a folder of manifests and follows the folder's changes."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labkeeper import files as manifest_files
from labkeeper import validation
from labkeeper.embedded.devices import described
from labkeeper.embedded.lab import EmbeddedLab, running_lab
from labkeeper_api.catalog import builtin_catalog
from labkeeper_api.conditions import ConditionType
from labkeeper_operator.objects import Key

LOOK_SECONDS = 0.5

Tell = Callable[[str], None]
Fingerprint = tuple[tuple[str, int, int], ...]


async def keep_folder(folder: Path, home: Path, port: int | None, tell: Tell) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tell("starting the Prefect server")
    async with running_lab(home, tell, port=port) as lab:
        keeper = FolderKeeper(folder, lab, tell)
        tell(f"keeping {folder}; Ctrl-C ends the lab. Prefect UI: {lab.server.url}")
        while not stop.is_set():
            keeper.look()
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue
        tell("ending the lab")


class FolderKeeper:
    """Brings the lab in line with a folder, and tells what changes."""

    def __init__(self, folder: Path, lab: EmbeddedLab, tell: Tell) -> None:
        self._folder = folder
        self._lab = lab
        self._tell = tell
        self._seen: Fingerprint | None = None
        self._record = lab.paths.home / "folder.json"
        self._said: dict[str, str] = {}

    def look(self) -> None:
        """Look at the folder and at the lab once."""
        now = _fingerprint(self._folder)
        if now != self._seen:
            self._seen = now
            self._reconcile()
        self._report()

    def _reconcile(self) -> None:
        loaded = manifest_files.load([self._folder], with_siblings=False)
        findings = validation.check(
            loaded.manifests, builtin_catalog(), config_maps=loaded.config_maps, on_this_host=True
        )
        problems = [*loaded.problems, *findings.problems]
        for problem in problems:
            self._tell(f"wrong: {problem}")
        for note in findings.notes:
            self._tell(f"note: {note}")
        broken = {problem.source for problem in problems}
        sound = [m for m in loaded.manifests if m.source not in broken]
        changed = self._lab.apply([m.object for m in sound], self._folder, loaded.config_maps)
        for key in changed:
            self._tell(f"{key} applied")
        self._remove_what_is_gone({Key(m.object.kind, *_place(m.object)) for m in sound}, keep=bool(broken))

    def _remove_what_is_gone(self, present: set[Key], *, keep: bool) -> None:
        """Only what came from the folder is removed; while a file is broken nobody knows what it still holds."""
        known = {Key(*entry) for entry in json.loads(self._record.read_text())} if self._record.exists() else set()
        gone = set() if keep else known - present
        for key in sorted(gone):
            self._tell(f"{key} removed")
            self._lab.remove(key)
        left = [[key.kind, key.namespace, key.name] for key in sorted((known - gone) | present)]
        self._record.write_text(json.dumps(left), encoding="utf-8")

    def _report(self) -> None:
        for raw in self._lab.store.all():
            metadata, line = raw["metadata"], _line(raw)
            name = f"{raw['kind']} {metadata['namespace']}/{metadata['name']}"
            self._say(name, line)
        for unit in self._lab.units.all():
            self._say(unit.directory.unit, described(unit).split(": ", 1)[1])

    def _say(self, name: str, line: str) -> None:
        if line and self._said.get(name) != line:
            self._said[name] = line
            self._tell(f"{name}: {line}")


def _place(obj: Any) -> tuple[str, str]:
    return obj.metadata.namespace, obj.metadata.name


def _line(raw: dict[str, Any]) -> str:
    status = raw.get("status", {})
    if raw["kind"] == "LabRun" and "state" in status:
        return str(status["state"])
    ready = next((c for c in status.get("conditions", []) if c["type"] == ConditionType.READY), None)
    return f"{ready['reason']}, {ready['message']}" if ready else ""


def _fingerprint(folder: Path) -> Fingerprint:
    found = []
    for path in manifest_files.manifest_files(folder):
        stat = path.stat()
        found.append((str(path), stat.st_mtime_ns, stat.st_size))
    return tuple(found)
