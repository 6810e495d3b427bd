"""Protocols on the robot's disk, and their analyses.

An analysis carries the protocol out on a second, untimed robot in a thread of its own, so that neither a run nor a stop
waits for it. What it says is what Opentrons says: ``result`` ``ok`` or ``not-ok``, and the errors in the robot's words.
Protocols survive a reboot, as on the robot.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opentrons.protocol_engine import ErrorOccurrence
from opentrons.protocol_engine.types import PrimitiveRunTimeParamValuesType
from opentrons.protocol_reader import BufferedFile, FileHasher, FileReaderWriter, ProtocolReader, ProtocolSource
from opentrons.protocol_runner.create_simulating_orchestrator import create_simulating_orchestrator
from opentrons.protocol_runner.run_orchestrator import ParseMode
from opentrons_shared_data.errors import EnumeratedError, PythonException
from starlette.datastructures import UploadFile

log = logging.getLogger(__name__)


class WrongRobotError(ValueError):
    """The protocol is for another robot; the message is the robot's."""


class Protocol:
    """An uploaded protocol and its analyses, the oldest first."""

    def __init__(self, source: ProtocolSource, protocol_id: str, key: str | None) -> None:
        self.id = protocol_id
        self.source = source
        self.key = key
        self.created_at = datetime.now(UTC)
        self.analyses: list[dict[str, Any]] = []

    def as_json(self) -> dict[str, Any]:
        """The robot's ``Protocol`` resource."""
        summaries = [
            {name: analysis[name] for name in ("id", "status", "result") if name in analysis}
            for analysis in self.analyses
        ]
        data = {
            "id": self.id,
            "createdAt": self.created_at.isoformat(),
            "files": [{"name": file.path.name, "role": file.role.value} for file in self.source.files],
            "protocolType": self.source.config.protocol_type,
            "protocolKind": "standard",
            "robotType": self.source.robot_type,
            "metadata": self.source.metadata,
            "analysisSummaries": summaries,
        }
        return data | ({"key": self.key} if self.key is not None else {})


class Protocols:
    """All uploaded protocols. ``folder`` is where their files are kept."""

    def __init__(self, folder: Path) -> None:
        self.all: dict[str, Protocol] = {}
        self._folder = folder
        self._reader = ProtocolReader()

    async def upload(
        self, files: list[UploadFile], key: str | None, parameters: PrimitiveRunTimeParamValuesType
    ) -> tuple[Protocol, bool]:
        """Take a protocol in and start its analysis; the same files again are the same protocol.

        Returns:
            The protocol, and whether it is new.

        Raises:
            ProtocolFilesInvalidError: these files are no protocol (Opentrons' error).
            WrongRobotError: a protocol for a Flex.
        """
        buffered: list[BufferedFile] = await FileReaderWriter().read(files=files)  # type: ignore[arg-type]
        content_hash = await FileHasher().hash(buffered)
        for known in self.all.values():
            if known.source.content_hash == content_hash:
                if parameters:
                    self.analyse(known, parameters)
                return known, False
        protocol_id = str(uuid.uuid4())
        source = await self._reader.save(
            files=buffered, directory=self._folder / protocol_id, content_hash=content_hash
        )
        if source.robot_type != "OT-2 Standard":
            raise WrongRobotError(
                "This protocol is for Opentrons Flex robots."
                " It can't be analyzed or run on this robot, which is an OT-2."
            )
        protocol = Protocol(source, protocol_id, key)
        self.all[protocol_id] = protocol
        self.analyse(protocol, parameters)
        return protocol, True

    def analyse(self, protocol: Protocol, parameters: PrimitiveRunTimeParamValuesType) -> None:
        """Start an analysis; its record is ``pending`` until the thread completes it."""
        record: dict[str, Any] = {"id": str(uuid.uuid4()), "status": "pending"}
        protocol.analyses.append(record)

        def work() -> None:
            # One assignment of all fields at the end: whoever reads meanwhile sees a pending analysis, never half of
            # one.
            try:
                done = asyncio.run(_analyse(protocol.source, parameters))
            except Exception as error:
                log.exception("the analysis of protocol %s broke", protocol.id)
                done = _refused(error)
            record.update(done)

        # A daemon: an analysis that never ends (protocols are programs) must not keep the simulator from ending.
        _start(work, f"analysis-{record['id']}")

    def remove(self, protocol_id: str) -> None:
        """Forget a protocol and delete its files.

        Raises:
            KeyError: there is none.
        """
        protocol = self.all.pop(protocol_id)
        for file in protocol.source.files:
            file.path.unlink(missing_ok=True)


def _start(work: Callable[[], None], name: str) -> None:
    threading.Thread(target=work, name=name, daemon=True).start()


async def _analyse(source: ProtocolSource, parameters: PrimitiveRunTimeParamValuesType) -> dict[str, Any]:
    """Carry a protocol out on an untimed robot: the robot's completed ``ProtocolAnalysis``, without its id."""
    orchestrator = await create_simulating_orchestrator(robot_type=source.robot_type, protocol_config=source.config)
    try:
        await orchestrator.load(
            protocol_source=source,
            run_time_param_values=parameters or None,
            run_time_param_paths=None,
            parse_mode=ParseMode.NORMAL,
        )
    except Exception as error:  # noqa: BLE001
        # Whatever a protocol does wrong while it is read is the analysis' result, not this program's failure.
        log.info("the protocol cannot be loaded: %s", error)
        await orchestrator.finish()
        return _refused(error)
    result = await orchestrator.run(deck_configuration=[])
    state = result.state_summary.model_dump(mode="json", exclude_none=True)
    return {
        "status": "completed",
        "result": "not-ok" if state["errors"] else "ok",
        "robotType": source.robot_type,
        "runTimeParameters": [parameter.model_dump(mode="json", exclude_none=True) for parameter in result.parameters],
        "commands": [command.model_dump(mode="json", exclude_none=True) for command in result.commands],
        **{name: state[name] for name in ("errors", "labware", "pipettes", "modules", "liquids")},
    }


def _refused(error: Exception) -> dict[str, Any]:
    """The analysis of a protocol that could not even be loaded."""
    known = error if isinstance(error, EnumeratedError) else PythonException(error)
    occurrence = ErrorOccurrence.from_failed(id=str(uuid.uuid4()), createdAt=datetime.now(UTC), error=known)
    empty: dict[str, list[Any]] = {
        name: [] for name in ("commands", "labware", "pipettes", "modules", "liquids", "runTimeParameters")
    }
    return {
        "status": "completed",
        "result": "not-ok",
        "robotType": "OT-2 Standard",
        "errors": [occurrence.model_dump(mode="json", exclude_none=True)],
        **empty,
    }
