"""Manifests checked together: references, parameters and names. What a driver says is replaced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labkeeper import validation
from labkeeper.validation import Findings
from labkeeper_api.errors import Problem
from labkeeper_api.manifests import Manifest, load
from labkeeper_devices.drivers.registry import DRIVERS
from tests.unit import builders as b

POOL = b.manifest("LabPool", "plates", {"type": "device", "queues": [{"name": "urgent", "priority": 1}]})
JOBS = b.manifest("LabPool", "jobs", {"type": "kubernetes"})
DEVICE = b.manifest("LabDevice", "resort")
HOTEL: dict[str, Any] = {"flow": {"name": b.PHYSICAL_FLOW}, "placement": {"pool": "plates"}}


class FakeDriver:
    """Says what it is told to say of devices and of parameters."""

    def __init__(self) -> None:
        self.of_devices: list[Problem] = []
        self.of_parameters: list[Problem] = []
        self.asked: list[tuple[Any, ...]] = []

    def validate(self, *_: Any) -> list[Problem]:
        """What is wrong with a device."""
        return self.of_devices

    def parameter_problems(self, *arguments: Any) -> list[Problem]:
        """What is wrong with parameters."""
        self.asked.append(arguments)
        return self.of_parameters


@pytest.fixture(autouse=True)
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    """In place of the driver of the plate hotel."""
    fake = FakeDriver()
    kind = replace(DRIVERS["plate-resort"], validate=fake.validate, parameter_problems=fake.parameter_problems)
    monkeypatch.setattr(validation, "DRIVERS", {"plate-resort": kind})
    return fake


def workflow(name: str = "move", **spec: Any) -> dict[str, Any]:
    """A workflow that turns the hotel."""
    return b.manifest("LabWorkflow", name, {**HOTEL, **spec})


def run(**parameters: Any) -> dict[str, Any]:
    """A run of the workflow `move`."""
    return b.manifest("LabRun", "run", {"workflowRef": {"name": "move"}, "parameters": parameters})


def manifests(*documents: dict[str, Any], file: str = "lab.yaml") -> list[Manifest]:
    """The documents as read from a file."""
    return load(b.yaml_text(*documents), file) if documents else []


def check(*documents: dict[str, Any], beside: tuple[dict[str, Any], ...] = ()) -> Findings:
    """What is found in documents of one file, with others beside it."""
    return validation.check(manifests(*documents), b.CATALOG, beside=manifests(*beside, file="beside.yaml"))


def line_of(text: str, *documents: dict[str, Any]) -> int:
    """On which line of the file that text stands first."""
    lines = b.yaml_text(*documents).splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def only(*documents: dict[str, Any]) -> Problem:
    """The one problem of the documents."""
    (problem,) = check(*documents).problems
    return problem


def test_a_sound_lab_has_neither_problems_nor_notes() -> None:
    found = check(POOL, DEVICE, workflow(parameters={"hotel": "A"}), run())
    assert (found.problems, found.notes) == ([], [])


def test_an_unknown_flow_is_placed_and_guessed() -> None:
    documents = (POOL, workflow(flow={"name": "plate-resort.activate-hotl"}))
    problem = only(*documents)
    assert (problem.path, problem.hint) == ("spec.flow.name", f"did you mean {b.PHYSICAL_FLOW!r}?")
    assert problem.line == line_of("activate-hotl", *documents)


def test_a_pool_that_is_not_in_the_files_is_only_noted() -> None:
    found = check(workflow())
    (note,) = found.notes
    assert found.problems == []
    assert (note.path, note.message) == ("spec.placement.pool", "LabPool 'plates' is not in these files")
    assert note.hint == "fine if it is applied elsewhere"


def test_a_pool_that_was_probably_meant_is_named() -> None:
    (note,) = check(POOL, workflow(placement={"pool": "plate"})).notes
    assert note.hint == "did you mean 'plates'?"


def test_what_stands_beside_is_known_but_not_checked() -> None:
    broken = workflow("other", flow={"name": "no.such"})
    found = check(workflow(), beside=(POOL, broken))
    assert (found.problems, found.notes) == ([], [])


def test_a_pool_of_another_namespace_is_another_pool() -> None:
    elsewhere = {**POOL, "metadata": {"name": "plates", "namespace": "lab-1"}}
    assert [note.path for note in check(elsewhere, workflow()).notes] == ["spec.placement.pool"]


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({"placement": {"pool": "jobs"}}, "device"),
        ({"flow": {"entrypoint": "lab:measure"}}, "kubernetes"),
    ],
)
def test_a_pool_of_the_wrong_type_is_a_problem(spec: dict[str, Any], wanted: str) -> None:
    problem = only(POOL, JOBS, workflow(**spec))
    assert problem.path == "spec.placement.pool"
    assert problem.message.endswith(f"but this flow needs one of type {wanted}")


def test_a_queue_that_the_pool_lacks_is_a_problem() -> None:
    problem = only(POOL, workflow(placement={"pool": "plates", "queue": "urgnt"}))
    assert (problem.path, problem.hint) == ("spec.placement.queue", "did you mean 'urgent'?")


@pytest.mark.parametrize("queue", ["urgent", "default"])
def test_a_queue_that_the_pool_has_is_fine(queue: str) -> None:
    assert check(POOL, workflow(placement={"pool": "plates", "queue": queue})).problems == []


def test_retries_of_a_movement_are_a_problem() -> None:
    problem = only(POOL, workflow(retries=1))
    assert (problem.path, problem.hint) == ("spec.retries", "remove retries")
    assert "moves hardware and is not idempotent" in problem.message


def test_a_wrong_parameter_is_placed_on_its_line() -> None:
    documents = (POOL, workflow(parameters={"hotel": "A", "precise": "very"}))
    problem = only(*documents)
    assert problem.path == "spec.parameters.precise"
    assert problem.line == line_of("precise: very", *documents)
    assert problem.source == "lab.yaml"


def test_a_wrong_parameter_of_a_schedule_is_placed_on_its_line() -> None:
    schedule = {"name": "a", "cron": "0 9 * * *", "parameters": {"hotel": 5}}
    documents = (POOL, workflow(schedules=[schedule]))
    problem = only(*documents)
    assert problem.path == "spec.schedules[0].parameters.hotel"
    assert problem.line == line_of("hotel: 5", *documents)


def test_a_parameter_that_a_run_may_still_give_is_no_problem() -> None:
    assert check(POOL, workflow()).problems == []


def test_a_run_needs_all_parameters() -> None:
    documents = (POOL, workflow(), run())
    problem = only(*documents)
    assert "'hotel' is a required property" in problem.message
    assert problem.line == line_of("parameters: {}", *documents)


def test_a_run_of_a_workflow_that_is_not_in_the_files_is_noted() -> None:
    found = check(run())
    assert [note.path for note in found.notes] == ["spec.workflowRef.name"]
    assert found.problems == []


def test_a_device_of_an_unknown_driver_is_a_problem() -> None:
    problem = only(POOL, b.manifest("LabDevice", "resort", {"driver": "plate-resrt", "pool": "plates"}))
    assert (problem.path, problem.hint) == ("spec.driver", "did you mean 'plate-resort'?")


def test_a_device_that_serves_a_pool_of_jobs_is_a_problem() -> None:
    problem = only(JOBS, b.manifest("LabDevice", "resort", {"driver": "plate-resort", "pool": "jobs"}))
    assert problem.path == "spec.pool"


def test_a_device_whose_pool_is_not_in_the_files_is_noted() -> None:
    assert [note.path for note in check(DEVICE).notes] == ["spec.pool"]


def test_a_queue_that_the_pool_of_a_device_lacks_is_a_problem() -> None:
    """The operator stalls on it."""
    device = b.manifest("LabDevice", "resort", {"driver": "plate-resort", "pool": "plates", "queues": ["urgnt"]})
    problem = only(POOL, device)
    assert problem.path.startswith("spec.queues")
    assert problem.hint == "did you mean 'urgent'?"


def test_what_the_driver_says_of_a_device_is_placed_on_its_line(driver: FakeDriver) -> None:
    driver.of_devices = [Problem("spec.connection.port", "is no serial port")]
    device = {**DEVICE, "spec": {**DEVICE["spec"], "connection": {"port": "/dev/null"}}}
    problem = only(POOL, device)
    assert (problem.source, problem.line) == ("lab.yaml", line_of("port: /dev/null", POOL, device))


def test_what_the_driver_says_of_parameters_is_placed_on_their_line(driver: FakeDriver) -> None:
    driver.of_parameters = [Problem("spec.parameters.hotel", "there is no hotel 'Z'")]
    documents = (POOL, DEVICE, workflow(parameters={"hotel": "Z"}))
    problem = only(*documents)
    assert problem.message == "there is no hotel 'Z'"
    assert problem.line == line_of("hotel: Z", *documents)


def test_the_driver_is_asked_about_what_a_run_will_really_get(driver: FakeDriver) -> None:
    check(POOL, DEVICE, workflow(parameters={"hotel": "A", "precise": True}), run(hotel="B"))
    assert {"hotel": "B", "precise": True} in [arguments[-1] for arguments in driver.asked]


def test_the_driver_is_not_asked_about_parameters_that_are_wrong_anyway(driver: FakeDriver) -> None:
    check(POOL, DEVICE, workflow(parameters={"hotel": 5}))
    assert driver.asked == []


def test_the_driver_is_not_asked_about_devices_of_other_pools(driver: FakeDriver) -> None:
    other = b.manifest("LabDevice", "other", {"driver": "plate-resort", "pool": "hotels"})
    check(POOL, other, workflow(parameters={"hotel": "A"}))
    assert driver.asked == []


def test_the_same_said_by_two_devices_is_said_once(driver: FakeDriver) -> None:
    driver.of_parameters = [Problem("spec.parameters.hotel", "there is no hotel 'Z'")]
    twin = b.manifest("LabDevice", "twin")
    assert len(check(POOL, DEVICE, twin, workflow(parameters={"hotel": "Z"})).problems) == 1


def test_two_workflows_that_claim_one_deployment_are_a_problem() -> None:
    given = {"prefect": {"deploymentName": "nightly"}}
    documents = (POOL, workflow("a", **given), workflow("b", **given))
    problem = only(*documents)
    assert problem.message == "deployment 'activate-hotel/nightly' is claimed twice"
    assert problem.hint == f"first by default/a in lab.yaml:{line_of('name: a', *documents)}"


def test_one_deployment_name_of_two_flows_is_fine() -> None:
    given = {"prefect": {"deploymentName": "nightly"}}
    other = workflow("b", flow={"name": "plate-resort.go-home"}, **given)
    assert check(POOL, workflow("a", **given), other).problems == []


def test_the_examples_are_sound() -> None:
    folder = b.REPOSITORY / "examples" / "plate-resort"
    found = [m for path in sorted(folder.glob("*.yaml")) for m in load(path.read_bytes(), str(path))]
    assert validation.check(found, b.CATALOG).problems == []
    assert {Path(manifest.source).name for manifest in found} == {"lab.yaml", "tour.yaml", "workflows.yaml"}
