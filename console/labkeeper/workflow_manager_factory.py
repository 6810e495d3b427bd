"""`WorkflowManagerFactory` and `UnifiedWorkflowInterface`: the battery guide's way to run canvases.

Both managers carry out one plan with one engine over the agents of the lab (seeds/facts.md, 1.3); only the native one
does without Prefect. Not for deploying: that is `labkeeper.prefect_deployment_manager`.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from labkeeper.canvas.preparing import Asked, prepare
from labkeeper.canvas.runs import Cancelling, carry_out
from labkeeper.cli.options import Manager
from labkeeper_api.errors import InvalidInput, LabkeeperError, Problem
from labkeeper_devices.agent.host import home as lab_home
from labkeeper_flows.canvas_run.events import Tell, silent

__all__ = ["UnifiedWorkflowInterface", "WorkflowManager", "WorkflowManagerFactory", "WorkflowManagerType"]

LAB_VARIABLE = "LABKEEPER_LAB"
"""Environment variable: file or folder of manifests with the LabDevices that scripts run on."""

log = logging.getLogger(__name__)

Workflow = Mapping[str, Any] | str | Path
"""A canvas: as data, as text, or its file."""


class WorkflowManagerType(StrEnum):
    """Who turns the plan of a canvas into commands."""

    NATIVE = "native"
    PREFECT = "prefect"


class Controller(Protocol):
    """What is asked of an `OpentronsController`."""

    dry_run: bool

    @property
    def connected(self) -> bool:
        """Whether it holds the robot."""

    def close(self) -> None:
        """Let the robot go; the next operation takes it again."""


class WorkflowManager:
    """Runs canvases one at a time. Made by the factory."""

    def __init__(
        self,
        manager_type: WorkflowManagerType,
        controller: Controller | None = None,
        *,
        lab: Path | None = None,
        home: Path | None = None,
        export_dir: Path | None = None,
        time_factor: float | None = None,
        save_results: bool = True,
        tell: Tell = silent,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """A controller with `dry_run` has every device simulated, `time_factor` times (1000) faster than real time.

        Else the run is on the LabDevices of `lab`, of LABKEEPER_LAB, or of the lab that runs in `home`, and is refused
        when one is missing. Relative paths of the canvas, and `execution_results`, are below `export_dir`, else here.
        """
        self.manager_type = manager_type
        self.controller = controller
        named = os.environ.get(LAB_VARIABLE)
        dry_run = bool(controller.dry_run) if controller is not None else False
        self._asked = Asked(
            home=home or lab_home(),
            dry_run=dry_run,
            time_factor=time_factor if dry_run else None,
            lab=lab or (Path(named) if named else None),
            export_dir=export_dir,
        )
        self._save = save_results
        self._tell = tell
        self._say = say or log.info
        self._cancelling: Cancelling | None = None

    def execute_workflow(self, workflow: Workflow) -> dict[str, Any]:
        """Carry a canvas out to its end; the manager's result object. Blocking.

        Raises `InvalidInput` with everything that is wrong with the canvas, and `LabkeeperError` when the run could not
        begin. A run that failed is no error: its result says so.
        """
        text, source = _text(workflow)
        prepared = prepare(text, source, self._asked)
        if self.controller is not None and self.controller.connected:
            self.controller.close()  # else it would keep the robot from the run
        self._cancelling = Cancelling(self._say)
        try:
            ended = carry_out(
                prepared,
                self._asked.home,
                Manager(self.manager_type.value),
                say=self._say,
                tell=self._tell,
                cancelling=self._cancelling,
                save=self._save,
            )
        finally:
            self._cancelling = None
        return ended.result

    def cancel(self) -> None:
        """End the run that is under way; it ends as cancelled when the hardware is at rest. From another thread."""
        if self._cancelling is not None:
            self._cancelling.ask()


class WorkflowManagerFactory:
    """Makes managers, and says which there are."""

    @staticmethod
    def create_manager(
        manager_type: WorkflowManagerType | str, controller: Controller | None = None, **options: Any
    ) -> WorkflowManager:
        """A manager of that type; options as of `WorkflowManager`. Raises `InvalidInput` or `LabkeeperError`."""
        kind = _type(manager_type)
        if kind is WorkflowManagerType.PREFECT and not WorkflowManagerFactory.is_prefect_available():
            raise LabkeeperError("Prefect is not installed here: uv pip install prefect, or use the native manager")
        return WorkflowManager(kind, controller, **options)

    @staticmethod
    def is_prefect_available() -> bool:
        """Whether Prefect is installed. Does not import it."""
        return importlib.util.find_spec("prefect") is not None

    @staticmethod
    def get_available_managers() -> dict[str, dict[str, Any]]:
        """Both managers: name, description, available, features, requirements, and how to install what is missing."""
        prefect = WorkflowManagerFactory.is_prefect_available()
        how = {} if prefect else {"install_command": "uv pip install prefect"}
        return {
            WorkflowManagerType.NATIVE.value: {
                "name": "Native manager",
                "description": "Carries a canvas out in the process of the run.",
                "available": True,
                "features": ["parallel branches", "retries and recovery policies", "checkpoints and resume", "dry run"],
                "requirements": [],
            },
            WorkflowManagerType.PREFECT.value: {
                "name": "Prefect manager",
                "description": "Carries a canvas out as a Prefect flow run with a task for each node.",
                "available": prefect,
                "features": [
                    "parallel branches",
                    "retries and recovery policies",
                    "checkpoints and resume",
                    "dry run",
                    "web UI",
                    "schedules",
                    "deployments",
                ],
                "requirements": ["prefect"],
                **how,
            },
        }

    @staticmethod
    def get_recommended_manager(use_case: str = "basic") -> WorkflowManagerType:
        """`basic` and `research`: native; `production` and `development`: Prefect where it is installed (facts 1.3)."""
        if use_case in ("basic", "research"):
            return WorkflowManagerType.NATIVE
        if use_case in ("production", "development"):
            there = WorkflowManagerFactory.is_prefect_available()
            return WorkflowManagerType.PREFECT if there else WorkflowManagerType.NATIVE
        hint = "basic, research, production or development"
        raise InvalidInput([Problem("use_case", f"{use_case!r} is not known", hint)])


class UnifiedWorkflowInterface:
    """One way to run canvases, whichever manager does it."""

    def __init__(
        self,
        manager_type: WorkflowManagerType | str = WorkflowManagerType.NATIVE,
        controller: Controller | None = None,
        **options: Any,
    ) -> None:
        """Options as of `WorkflowManager`."""
        self._controller = controller
        self._options = options
        self._manager = WorkflowManagerFactory.create_manager(manager_type, controller, **options)

    @property
    def manager_type(self) -> WorkflowManagerType:
        """Which manager runs canvases now."""
        return self._manager.manager_type

    @property
    def controller(self) -> Controller | None:
        """The controller that was given."""
        return self._controller

    def switch_manager(self, manager_type: WorkflowManagerType | str) -> None:
        """Have the other manager run canvases from now on."""
        self._manager = WorkflowManagerFactory.create_manager(manager_type, self._controller, **self._options)

    def execute_workflow(self, workflow: Workflow) -> dict[str, Any]:
        """Carry a canvas out to its end; the manager's result object. As `WorkflowManager.execute_workflow`."""
        return self._manager.execute_workflow(workflow)

    def get_available_managers(self) -> dict[str, dict[str, Any]]:
        """As `WorkflowManagerFactory.get_available_managers`."""
        return WorkflowManagerFactory.get_available_managers()

    def get_manager_info(self) -> dict[str, Any]:
        """What there is to say of the present manager."""
        return {"type": self.manager_type.value, **self.get_available_managers()[self.manager_type.value]}


def _type(given: WorkflowManagerType | str) -> WorkflowManagerType:
    try:
        return WorkflowManagerType(given)
    except ValueError as error:
        known = ", ".join(WorkflowManagerType)
        raise InvalidInput([Problem("manager_type", f"{given!r} is no manager", f"there are {known}")]) from error


def _text(workflow: Workflow) -> tuple[str, str]:
    """The text of a canvas and its name for messages."""
    if isinstance(workflow, Path):
        try:
            return workflow.read_text(encoding="utf-8-sig"), str(workflow)
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput([Problem("", f"cannot be read: {error}", source=str(workflow))]) from error
    if isinstance(workflow, str):
        return workflow, "workflow"
    try:
        return json.dumps(workflow, allow_nan=False), "workflow"
    except (ValueError, TypeError) as error:
        raise InvalidInput([Problem("", f"is no JSON data: {error}", source="workflow")]) from error
