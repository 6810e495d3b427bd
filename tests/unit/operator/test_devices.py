"""LabDevice: what has to be right before it can be served, and what its workers say about its units."""

from __future__ import annotations

import pytest

from labkeeper_api.conditions import Reason
from labkeeper_api.errors import Stalled, Waiting
from labkeeper_api.kinds import LabDevice, LabPool
from labkeeper_api.kinds.labdevice import LabDeviceStatus
from labkeeper_operator.reconcile import devices
from labkeeper_operator.reconcile.observed import ObservedWorker
from tests.unit import builders as b
from tests.unit.api.crd_schema import refusals

PLATES = b.a_pool(queues={"urgent": 1, "standard": 2})


def stalls(device: LabDevice, pool: LabPool | None = PLATES, known: tuple[str, ...] = ("plates",)) -> Stalled:
    """What a person has to mend."""
    with pytest.raises(Stalled) as caught:
        devices.check(device, pool, known, b.CATALOG)
    return caught.value


def status_of(*workers: tuple[str, bool], device: LabDevice | None = None) -> LabDeviceStatus:
    """The status of a device whose pool these workers serve."""
    seen = tuple(ObservedWorker(name, online) for name, online in workers)
    return LabDeviceStatus.model_validate(devices.status(device or b.a_device(), seen, now=b.NOW))


@pytest.mark.parametrize("queues", [[], ["urgent"], ["default", "standard"]])
def test_a_device_whose_pool_is_ready_serves_it(queues: list[str]) -> None:
    assert devices.check(b.a_device(queues=queues), PLATES, ("plates",), b.CATALOG) is PLATES


def test_an_unknown_driver_is_answered_with_what_was_probably_meant() -> None:
    error = stalls(b.a_device(driver="plate_resort"))
    assert error.reason == Reason.INVALID_SPEC
    assert error.message == "there is no driver 'plate_resort': did you mean 'plate-resort'?"


@pytest.mark.parametrize(
    ("known", "hint"),
    [(("plate",), "did you mean 'plate'?"), ((), "apply a LabPool of that name first")],
)
def test_an_unknown_pool_is_for_a_person_to_mend(known: tuple[str, ...], hint: str) -> None:
    error = stalls(b.a_device(), None, known)
    assert error.reason == Reason.UNKNOWN_POOL
    assert error.message.endswith(hint)


def test_a_pool_of_jobs_is_not_for_devices() -> None:
    assert stalls(b.a_device(), b.a_pool(type="kubernetes")).reason == Reason.UNSUITABLE_POOL


def test_an_unknown_queue_is_answered_with_those_of_the_pool() -> None:
    error = stalls(b.a_device(queues=["urgent", "nightly"]))
    assert error.reason == Reason.UNKNOWN_QUEUE
    assert "no queue 'nightly': known here: urgent, standard" in error.message


def test_a_pool_that_is_not_ready_is_waited_for() -> None:
    with pytest.raises(Waiting) as caught:
        devices.check(b.a_device(), b.a_pool(ready=False), ("plates",), b.CATALOG)
    assert caught.value.reason == Reason.POOL_NOT_READY


def test_workers_named_after_the_device_are_its_units() -> None:
    status = status_of(("default.resort.bench-2", False), ("default.resort.bench-1", True))
    assert [(unit.name, unit.state) for unit in status.units] == [
        ("default.resort.bench-1", "Online"),
        ("default.resort.bench-2", "Offline"),
    ]
    assert status.online == 1


@pytest.mark.parametrize(
    "name", ["default.resort-2.bench-1", "lab-1.resort.bench-1", "ProcessWorker 1", "default.resort"]
)
def test_workers_of_others_are_not_its_units(name: str) -> None:
    assert status_of((name, True)).units == []


def test_a_device_with_a_unit_online_is_ready() -> None:
    status = status_of(("default.resort.a", True), ("default.resort.b", False))
    (ready,) = status.conditions
    assert (ready.type, ready.status, ready.reason) == ("Ready", "True", "UnitOnline")
    assert ready.message == "1 of 2 units online"


@pytest.mark.parametrize("workers", [[], [("default.resort.a", False)]], ids=["none", "offline"])
def test_a_device_that_nobody_serves_is_not_ready_and_says_how_to_start_an_agent(
    workers: list[tuple[str, bool]],
) -> None:
    (ready,) = status_of(*workers).conditions
    assert (ready.type, ready.status, ready.reason) == ("Ready", "False", "UnitOffline")
    assert "labkeeper agent run" in ready.message


def test_a_device_that_was_stalled_keeps_nothing_of_it() -> None:
    device = b.a_device(status={"conditions": [b.condition("Stalled"), b.condition("Reconciling")]})
    assert [condition.type for condition in status_of(device=device).conditions] == ["Ready"]


def test_looking_again_changes_nothing() -> None:
    """Liveness must not turn into a write every ten seconds."""
    device = b.a_device()
    workers = (ObservedWorker("default.resort.a", True),)
    first = devices.status(device, workers, now=b.NOW)
    again = device.model_copy(update={"status": LabDeviceStatus.model_validate(first)})
    assert devices.status(again, workers, now=b.after(600)) == first


def test_a_status_fits_the_crd() -> None:
    status = status_of(("default.resort.a", True))
    assert refusals(LabDevice, b.a_device().model_copy(update={"status": status}).wire()) == []
