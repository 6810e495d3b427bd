"""Which devices a run is given: the lab's, simulated ones for a dry run, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labkeeper.canvas.lab_devices import (
    DRY_RUN_NAMESPACE,
    Placed,
    as_far_as_there,
    chosen,
    lab_devices,
    refuse_hardware,
    simulated,
)
from labkeeper_api.errors import InvalidInput
from labkeeper_api.kinds import LabDevice
from labkeeper_flows.canvas.steps import Role

NAMED = {Role.ARDUINO: {"com_port": "COM3"}}


def pumps(name: str = "pumps", **spec: Any) -> Placed:
    body = {"driver": "arduino", "pool": "p", "connection": {"port": "/dev/ttyUSB1", "aliases": ["COM3"]}, **spec}
    return Placed(LabDevice.model_validate({"metadata": {"name": name}, "spec": body}), Path("/lab"))


def test_a_device_is_chosen_by_what_the_canvas_calls_it() -> None:
    device = pumps()
    assert chosen(NAMED, [Role.ARDUINO, Role.DATA], [device]) == {Role.ARDUINO: device}


def test_a_missing_device_is_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidInput) as caught:
        chosen(NAMED, [Role.ARDUINO], [])
    assert "answers to com_port 'COM3'" in str(caught.value)
    assert "`--dry-run` simulates every device" in str(caught.value)


def test_a_dry_run_simulates_the_labs_device_under_a_name_of_its_own() -> None:
    found = simulated(NAMED, [Role.ARDUINO], [pumps(config={"inline": "pumps: {}"})], 50.0)[Role.ARDUINO]
    device = found.device
    assert (device.metadata.namespace, device.metadata.name) == (DRY_RUN_NAMESPACE, "pumps")
    assert device.spec.simulate is not None
    assert device.spec.simulate.time_factor == 50.0
    assert device.spec.config is not None
    assert found.folder == Path("/lab")


def test_a_dry_run_needs_no_lab() -> None:
    device = simulated(NAMED, [Role.ARDUINO, Role.CLOCK], [], 1000.0)[Role.ARDUINO].device
    assert device.spec.connection is not None
    assert device.spec.connection.aliases == ["COM3"]
    assert device.metadata.namespace == DRY_RUN_NAMESPACE


def test_a_role_without_a_driver_cannot_be_simulated() -> None:
    with pytest.raises(InvalidInput, match="no driver 'xarm'"):
        simulated({}, [Role.XARM], [], 1000.0)


def test_what_the_lab_has_is_taken_and_the_rest_left_out() -> None:
    device = pumps()
    assert as_far_as_there(NAMED, [Role.ARDUINO, Role.OT2], [device]) == {Role.ARDUINO: device}


def test_hardware_is_never_part_of_a_dry_run_in_a_lab() -> None:
    refuse_hardware({Role.ARDUINO: pumps(simulate={"timeFactor": 5})})
    with pytest.raises(InvalidInput, match="LabDevice default/pumps drives hardware, and this is a dry run"):
        refuse_hardware({Role.ARDUINO: pumps()})


MANIFEST = """
apiVersion: labkeeper.dev/v1alpha1
kind: LabDevice
metadata: {name: NAME}
spec: {driver: arduino, pool: p}
"""


def test_devices_stand_in_the_lab_that_was_named_or_beside_the_canvas(tmp_path: Path) -> None:
    canvas = tmp_path / "canvas.json"
    canvas.write_text('{"nodes": []}', "utf-8")
    (tmp_path / "lab.yaml").write_text(MANIFEST.replace("NAME", "beside"), "utf-8")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "lab.yaml").write_text(MANIFEST.replace("NAME", "named"), "utf-8")
    home = tmp_path / "home"
    assert [it.device.metadata.name for it in lab_devices(None, canvas, home)] == ["beside"]
    (named,) = lab_devices(tmp_path / "other", canvas, home)
    assert (named.device.metadata.name, named.folder) == ("named", tmp_path / "other")
    assert lab_devices(None, None, home) == []


def test_a_lab_with_mistakes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text("apiVersion: labkeeper.dev/v1alpha1\nkind: LabDevise\n", "utf-8")
    with pytest.raises(InvalidInput, match="LabDevise"):
        lab_devices(tmp_path / "lab.yaml", None, tmp_path / "home")
