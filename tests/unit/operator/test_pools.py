"""LabPool to a plan for its work pool and queues."""

from __future__ import annotations

from typing import Any

import pytest

from labkeeper_api import wire
from labkeeper_api.conditions import Reason
from labkeeper_api.errors import Stalled
from labkeeper_api.kinds import LabPool
from labkeeper_operator.reconcile import pools
from labkeeper_operator.reconcile.observed import ObservedPool
from labkeeper_operator.reconcile.plan import (
    Action,
    CreatePool,
    CreateQueue,
    DeletePool,
    DeleteQueue,
    Plan,
    UpdatePool,
    UpdateQueue,
)
from tests.unit import builders as b
from tests.unit.api.crd_schema import refusals

DEVICE = wire.WORKER_TYPE


def actions(pool: LabPool, observed: ObservedPool | None, prefect_type: str = DEVICE) -> tuple[Action, ...]:
    """What is planned."""
    return pools.plan(pool, observed, prefect_type=prefect_type).actions


def stalls(pool: LabPool, observed: ObservedPool, prefect_type: str = DEVICE) -> Stalled:
    """Why nothing is planned."""
    with pytest.raises(Stalled) as caught:
        pools.plan(pool, observed, prefect_type=prefect_type)
    return caught.value


def test_a_pool_that_is_not_there_is_created_with_all_its_fields() -> None:
    pool = b.a_pool(description="Turns.", suspend=True, concurrency_limit=3, queues={"urgent": 1})
    (create,) = actions(pool, None)
    assert isinstance(create, CreatePool)
    assert create.body == {
        "name": "default.plates",
        "type": "lab-device",
        "description": "Turns.\n\nManaged by Labkeeper: LabPool default/plates, uid uid-labpool-plates.",
        "is_paused": True,
        "concurrency_limit": 3,
        "base_job_template": wire.device_job_template(),
    }


def test_a_kubernetes_pool_leaves_the_job_template_to_its_worker() -> None:
    (create,) = actions(b.a_pool(type="kubernetes"), None, "kubernetes")
    assert isinstance(create, CreatePool)
    assert (create.body["type"], create.body["base_job_template"]) == ("kubernetes", {})


def test_a_pool_of_another_prefect_name_is_created_under_it() -> None:
    (create,) = actions(b.a_pool(prefect={"pool_name": "plate-resort-pool"}), None)
    assert isinstance(create, CreatePool)
    assert create.body["name"] == "plate-resort-pool"


@pytest.mark.parametrize(
    "pool",
    [
        b.a_pool(),
        b.a_pool(queues={"urgent": 1, "standard": 5}),
        b.a_pool(queues={"urgent": 1, "default": 2, "standard": 3}),
        b.a_pool(description="Turns.", concurrency_limit=2, suspend=True),
    ],
    ids=["bare", "queues", "default listed", "fields"],
)
def test_a_pool_that_is_as_wanted_needs_nothing(pool: LabPool) -> None:
    assert actions(pool, b.observed_pool(pool)) == ()


def test_the_job_template_that_a_kubernetes_worker_wrote_stays() -> None:
    pool = b.a_pool(type="kubernetes")
    observed = b.observed_pool(pool, prefect_type="kubernetes", base_job_template={"variables": {"image": {}}})
    assert actions(pool, observed, "kubernetes") == ()


@pytest.mark.parametrize(
    ("spec", "changes"),
    [
        ({"suspend": True}, {"is_paused": True}),
        ({"concurrency_limit": 4}, {"concurrency_limit": 4}),
        (
            {"description": "Turns."},
            {"description": "Turns.\n\nManaged by Labkeeper: LabPool default/plates, uid uid-labpool-plates."},
        ),
    ],
    ids=["suspend", "concurrencyLimit", "description"],
)
def test_a_changed_field_changes_that_field_only(spec: dict[str, Any], changes: dict[str, Any]) -> None:
    assert actions(b.a_pool(**spec), b.observed_pool(b.a_pool())) == (UpdatePool("default.plates", changes),)


@pytest.mark.parametrize(
    ("spec", "changes"),
    [({"suspend": True}, {"is_paused": False}), ({"concurrency_limit": 4}, {"concurrency_limit": None})],
)
def test_a_cleared_field_is_cleared(spec: dict[str, Any], changes: dict[str, Any]) -> None:
    assert actions(b.a_pool(), b.observed_pool(b.a_pool(**spec))) == (UpdatePool("default.plates", changes),)


def test_a_job_template_changed_by_hand_is_put_right() -> None:
    (update,) = actions(b.a_pool(), b.observed_pool(b.a_pool(), base_job_template={}))
    assert update == UpdatePool("default.plates", {"base_job_template": wire.device_job_template()})


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ({"suspend": True}, {"is_paused": True}),
        ({"concurrencyLimit": 2}, {"concurrency_limit": 2}),
        ({"description": "Stops."}, {"description": "Stops."}),
    ],
)
def test_a_changed_field_of_a_queue_changes_that_field_only(field: dict[str, Any], changes: dict[str, Any]) -> None:
    pool = b.a_pool(queues=[{"name": "urgent", "priority": 1, **field}])
    assert actions(pool, b.observed_pool(b.a_pool(queues={"urgent": 1}))) == (
        UpdateQueue("default.plates", "urgent", changes),
    )


def test_a_missing_queue_is_created_and_left_to_the_next_round_to_order() -> None:
    pool = b.a_pool(queues={"urgent": 1, "standard": 2})
    (create,) = actions(pool, b.observed_pool(b.a_pool(queues={"standard": 1})))
    body = {"name": "urgent", "description": "", "is_paused": False, "concurrency_limit": None}
    assert create == CreateQueue("default.plates", body)


def test_a_queue_is_created_held_back_if_it_should_be() -> None:
    pool = b.a_pool(queues=[{"name": "urgent", "priority": 1, "suspend": True}])
    (create,) = actions(pool, b.observed_pool(b.a_pool()))
    assert isinstance(create, CreateQueue)
    assert create.body["is_paused"] is True


def a_pool_that_made(*queues: str, **given: Any) -> LabPool:
    """A pool whose status tells of these queues."""
    made = [{"name": name, "priority": number} for number, name in enumerate(queues, 1)]
    return b.a_pool(status={"poolName": "default.plates", "poolId": "pool-plates", "queues": made}, **given)


def test_a_queue_that_we_made_and_no_longer_want_is_deleted() -> None:
    observed = b.observed_pool(b.a_pool(queues={"urgent": 1, "old": 2}))
    planned = actions(a_pool_that_made("urgent", "old", queues={"urgent": 1}), observed)
    assert planned == (DeleteQueue("default.plates", "old"),)


def test_a_queue_that_somebody_else_made_stays() -> None:
    pool = a_pool_that_made("urgent", queues={"urgent": 1})
    assert actions(pool, b.observed_pool(pool, queues={"urgent": 1, "default": 2, "by-hand": 3})) == ()


def test_the_default_queue_is_never_deleted() -> None:
    pool = a_pool_that_made("default", "urgent", queues={"urgent": 1})
    assert not [a for a in actions(pool, b.observed_pool(pool)) if isinstance(a, DeleteQueue)]


def test_a_work_pool_that_another_labpool_holds_is_not_even_adopted() -> None:
    with pytest.raises(Stalled) as caught:
        pools.plan(b.a_pool("plates", adopt=True), None, prefect_type=DEVICE, claimed_by="other/plates")
    assert caught.value.reason == Reason.CONFLICT
    assert caught.value.message.startswith("LabPool other/plates already is work pool 'default.plates'")


def test_a_work_pool_not_made_by_labkeeper_is_left_alone() -> None:
    error = stalls(b.a_pool(), b.observed_pool(b.a_pool(), description="Ours."))
    assert error.reason == Reason.CONFLICT
    assert error.message == (
        "work pool 'default.plates' exists in Prefect and is not made by Labkeeper: set spec.adopt: true to take it "
        "over, or give another spec.prefect.poolName"
    )


def test_a_work_pool_of_another_labpool_is_left_alone() -> None:
    other = b.a_pool("other", meta={"uid": "uid-other"})
    error = stalls(b.a_pool(), b.observed_pool(b.a_pool(), description=b.observed_pool(other).description))
    assert error.reason == Reason.CONFLICT
    assert "is another LabPool's" in error.message


def test_a_work_pool_is_taken_over_when_asked_for() -> None:
    (update,) = actions(b.a_pool(adopt=True), b.observed_pool(b.a_pool(), description="By hand."))
    assert isinstance(update, UpdatePool)
    assert pools.owner_of(update.changes["description"]) == "uid-labpool-plates"


@pytest.mark.parametrize("adopt", [False, True])
def test_a_work_pool_of_another_type_is_a_conflict_even_to_be_adopted(adopt: bool) -> None:
    error = stalls(b.a_pool(adopt=adopt), b.observed_pool(b.a_pool(), prefect_type="process"))
    assert error.reason == Reason.CONFLICT
    assert "is of type 'process', which Prefect cannot change to 'lab-device'" in error.message


def test_the_owner_of_a_work_pool_is_read_back_whatever_people_describe() -> None:
    text = "Turns.\nManaged by Labkeeper: LabPool a/b, uid uid-of-somebody."
    (create,) = actions(b.a_pool(description=text), None)
    assert isinstance(create, CreatePool)
    assert pools.owner_of(create.body["description"]) == "uid-labpool-plates"


@pytest.mark.parametrize("text", ["", "Turns.", "Managed by Labkeeper: LabPool a/b, uid uid-1. By hand since."])
def test_a_work_pool_without_our_mark_at_its_end_is_nobodys(text: str) -> None:
    assert pools.owner_of(text) is None


def test_deleting_a_labpool_deletes_its_work_pool() -> None:
    assert pools.plan_deletion(b.a_pool(), b.observed_pool(b.a_pool())) == Plan((DeletePool("default.plates"),))


@pytest.mark.parametrize(
    ("pool", "observed"),
    [
        (b.a_pool(deletion_policy="Orphan"), b.observed_pool(b.a_pool())),
        (b.a_pool(), None),
        (b.a_pool(), b.observed_pool(b.a_pool(), description="By hand.")),
        (b.a_pool(), b.observed_pool(b.a_pool(meta={"uid": "uid-other"}))),
    ],
    ids=["orphan", "gone already", "not ours", "another LabPool's"],
)
def test_deleting_a_labpool_leaves_what_is_not_to_be_deleted(pool: LabPool, observed: ObservedPool | None) -> None:
    assert pools.plan_deletion(pool, observed) == Plan()


def status_of(pool: LabPool, observed: ObservedPool | None = None) -> LabPool:
    """The pool with the status that it gets."""
    written = pools.status(pool, observed or b.observed_pool(pool), now=b.NOW)
    return pool.model_copy(update={"status": type(pool).status_model.model_validate(written)})


def test_a_status_names_the_work_pool_and_its_queues_in_order() -> None:
    status = status_of(b.a_pool(queues={"standard": 7, "urgent": 1})).status
    assert status is not None
    assert (status.pool_name, status.pool_id) == ("default.plates", "pool-plates")
    assert [(queue.name, queue.priority) for queue in status.queues] == [("urgent", 1), ("standard", 7), ("default", 8)]


def test_a_status_says_why_a_queue_is_held_back() -> None:
    pool = b.a_pool(queues=[{"name": "urgent", "priority": 1, "suspend": True}])
    queues = (b.observed_queue("urgent", 1, is_paused=True), b.observed_queue("default", 2))
    status = status_of(pool, b.observed_pool(pool, queues=queues)).status
    assert status is not None
    assert [queue.suspended_by for queue in status.queues] == [["Suspend"], []]


def test_a_status_leaves_out_queues_of_others() -> None:
    """Else they would be deleted as ours once the spec does not name them."""
    status = status_of(b.a_pool(), b.observed_pool(b.a_pool(), queues={"default": 1, "by-hand": 2})).status
    assert status is not None
    assert [queue.name for queue in status.queues] == ["default"]


@pytest.mark.parametrize(("suspend", "reason"), [(False, "Reconciled"), (True, "Suspended")])
def test_a_pool_as_wanted_is_ready(suspend: bool, reason: str) -> None:
    pool = status_of(b.a_pool(suspend=suspend))
    assert pool.status is not None
    (ready,) = pool.status.conditions
    assert (ready.type, ready.status, ready.reason) == ("Ready", "True", reason)
    assert pool.status.observed_generation == 1


@pytest.mark.parametrize(
    ("queues", "text"),
    [
        ({}, "has 0 queues and the default one"),
        ({"urgent": 1}, "has 1 queue and the default one"),
        ({"urgent": 1, "default": 2}, "has 2 queues"),
    ],
)
def test_a_ready_pool_says_how_many_queues_it_has(queues: dict[str, int], text: str) -> None:
    status = status_of(b.a_pool(queues=queues)).status
    assert status is not None
    assert status.conditions[0].message == f"work pool 'default.plates' {text}"


def test_a_status_fits_the_crd() -> None:
    pool = status_of(b.a_pool(queues={"urgent": 1}))
    assert refusals(LabPool, pool.wire()) == []
