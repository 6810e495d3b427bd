"""`WorkflowManagerFactory` and its managers: types, recommendations and refusals; runs are in tests/e2e."""

from __future__ import annotations

from pathlib import Path

import pytest

from labkeeper.workflow_manager_factory import (
    UnifiedWorkflowInterface,
    WorkflowManagerFactory,
    WorkflowManagerType,
)
from labkeeper_api.errors import InvalidInput


class Controller:
    """A controller that holds nothing."""

    dry_run = True
    connected = False

    def close(self) -> None:
        raise AssertionError("nothing to let go")


@pytest.mark.parametrize("kind", [WorkflowManagerType.NATIVE, "native", WorkflowManagerType.PREFECT, "prefect"])
def test_a_manager_is_made_of_its_type(kind: WorkflowManagerType | str) -> None:
    manager = WorkflowManagerFactory.create_manager(kind, Controller())
    assert manager.manager_type == kind
    assert UnifiedWorkflowInterface(manager_type=kind).manager_type == kind


def test_an_unknown_manager_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'airflow' is no manager"):
        UnifiedWorkflowInterface(manager_type="airflow")


@pytest.mark.parametrize(
    ("use_case", "there", "wanted"),
    [
        ("basic", True, "native"),
        ("research", True, "native"),
        ("production", True, "prefect"),
        ("development", True, "prefect"),
        ("production", False, "native"),
    ],
)
def test_a_manager_is_recommended_by_use_case(
    monkeypatch: pytest.MonkeyPatch, use_case: str, there: bool, wanted: str
) -> None:
    monkeypatch.setattr(WorkflowManagerFactory, "is_prefect_available", staticmethod(lambda: there))
    assert WorkflowManagerFactory.get_recommended_manager(use_case) == wanted


def test_without_prefect_that_manager_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkflowManagerFactory, "is_prefect_available", staticmethod(lambda: False))
    found = WorkflowManagerFactory.get_available_managers()
    assert (found["native"]["available"], found["prefect"]["available"]) == (True, False)
    assert found["prefect"]["install_command"] == "uv pip install prefect"
    with pytest.raises(Exception, match="Prefect is not installed here"):
        WorkflowManagerFactory.create_manager("prefect")


def test_both_managers_are_described() -> None:
    found = WorkflowManagerFactory.get_available_managers()
    assert set(found) == {"native", "prefect"}
    for entry in found.values():
        assert {"name", "description", "available", "features", "requirements"} <= set(entry)
    interface = UnifiedWorkflowInterface()
    interface.switch_manager("prefect")
    assert interface.get_manager_info()["type"] == "prefect"


def test_a_wrong_canvas_and_a_lab_without_devices_are_refused(tmp_path: Path) -> None:
    interface = UnifiedWorkflowInterface(home=tmp_path)
    with pytest.raises(InvalidInput, match="is a list"):
        interface.execute_workflow("[1, 2]")
    canvas = {
        "global_config": {"hardware": {"arduino": {"port": "COM3"}}},
        "nodes": [{"id": "a", "type": "", "params": {"arduino_control": {"pump0_ml": 1}}}],
        "edges": [],
    }
    with pytest.raises(InvalidInput, match="no device of driver arduino answers to com_port 'COM3'"):
        interface.execute_workflow(canvas)
    with pytest.raises(InvalidInput, match="cannot be read"):
        interface.execute_workflow(tmp_path / "no.json")
