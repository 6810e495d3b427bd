"""Objects as last seen: older versions never win, and a spec that cannot be read keeps the rest."""

from __future__ import annotations

from typing import Any

import pytest

from labkeeper_api.kinds import LabPool, LabRun, LabWorkflow
from labkeeper_api.kinds.labworkflow import LabWorkflowStatus
from labkeeper_operator.objects import Key, Objects
from tests.unit import builders as b

KEY = Key("LabWorkflow", "default", "move")


def version(number: int | str, *, uid: str = "uid-1", **given: Any) -> dict[str, Any]:
    """The workflow `move` in that version."""
    return b.raw(b.a_workflow(**given), resourceVersion=str(number), uid=uid)


def broken(number: int = 2, **given: Any) -> dict[str, Any]:
    """A version of the workflow whose spec cannot be read."""
    data = version(number, **given)
    return {**data, "spec": {**data["spec"], "retries": "many", "colour": "red"}}


def test_an_object_is_kept_under_its_kind_namespace_and_name() -> None:
    objects = Objects()
    entry = objects.put(version(1))
    assert entry is not None
    assert entry.key == KEY
    assert objects.entry(KEY) is entry
    assert str(KEY) == "LabWorkflow default/move"


def test_a_newer_version_replaces_an_older_one() -> None:
    objects = Objects()
    objects.put(version(9))
    assert objects.put(version(10, description="new")) is not None
    found = objects.get(LabWorkflow, "default", "move")
    assert found is not None
    assert found.spec.description == "new"


@pytest.mark.parametrize("number", [9, 10])
def test_an_older_or_the_same_version_is_passed_over(number: int) -> None:
    """The answer to our own write may arrive before the watch event of an earlier change."""
    objects = Objects()
    objects.put(version(10, description="new"))
    assert objects.put(version(number)) is None
    found = objects.get(LabWorkflow, "default", "move")
    assert found is not None
    assert found.spec.description == "new"


def test_a_new_object_of_the_same_name_replaces_the_old_one() -> None:
    objects = Objects()
    objects.put(version(10))
    entry = objects.put(version(11, uid="uid-2"))
    assert entry is not None
    assert entry.uid == "uid-2"


def test_a_late_event_of_a_former_object_does_not_replace_its_successor() -> None:
    objects = Objects()
    objects.put(version(11, uid="uid-2"))
    assert objects.put(version(10, uid="uid-1")) is None
    entry = objects.entry(KEY)
    assert entry is not None
    assert entry.uid == "uid-2"


@pytest.mark.parametrize(("new", "taken"), [("b", True), ("a", False)])
def test_opaque_versions_are_compared_for_being_the_same(new: str, taken: bool) -> None:
    objects = Objects()
    objects.put(version("a"))
    assert (objects.put(version(new)) is not None) is taken


def test_a_gone_object_is_forgotten() -> None:
    objects = Objects()
    objects.put(version(1))
    objects.remove(KEY)
    objects.remove(KEY)
    assert objects.entry(KEY) is None


def test_a_late_deletion_event_does_not_remove_a_successor() -> None:
    objects = Objects()
    objects.put(version(11, uid="uid-2"))
    objects.remove(KEY, uid="uid-1")
    assert objects.entry(KEY) is not None
    objects.remove(KEY, uid="uid-2")
    assert objects.entry(KEY) is None


def test_a_spec_that_cannot_be_read_is_told_field_by_field() -> None:
    entry = Objects().put(broken())
    assert entry is not None
    assert sorted(problem.split(":")[0] for problem in entry.problems) == ["spec.colour", "spec.retries"]


def test_a_spec_that_cannot_be_read_keeps_metadata_and_status() -> None:
    entry = Objects().put(broken(status={"deploymentId": "dep-1"}))
    assert entry is not None
    assert isinstance(entry.obj, LabWorkflow)
    assert isinstance(entry.obj.status, LabWorkflowStatus)
    assert entry.obj.status.deployment_id == "dep-1"
    assert entry.uid == "uid-1"


def test_a_spec_that_cannot_be_read_keeps_the_fields_that_can() -> None:
    """Its deletion has to know what stands for it in Prefect, and whether that is to be left."""
    entry = Objects().put(broken(prefect={"deployment_name": "nightly"}, deletion_policy="Orphan"))
    assert entry is not None
    assert isinstance(entry.obj, LabWorkflow)
    assert entry.obj.spec.deletion_policy == "Orphan"
    assert entry.obj.spec.prefect is not None
    assert entry.obj.spec.prefect.deployment_name == "nightly"
    assert entry.obj.spec.retries == 0


@pytest.mark.parametrize("spec", [None, "nonsense", [], {}])
def test_a_spec_that_is_no_spec_at_all_keeps_defaults(spec: Any) -> None:
    entry = Objects().put({**version(1), "spec": spec})
    assert entry is not None
    assert entry.problems
    assert isinstance(entry.obj, LabWorkflow)
    assert entry.obj.spec.deletion_policy == "Delete"


def test_a_status_that_cannot_be_read_is_taken_for_an_empty_one() -> None:
    entry = Objects().put({**broken(), "status": {"conditions": "nonsense"}})
    assert entry is not None
    assert getattr(entry.obj, "status", None) == LabWorkflowStatus()


def test_an_object_whose_spec_cannot_be_read_is_only_found_as_an_entry() -> None:
    objects = Objects()
    objects.put(broken())
    assert objects.get(LabWorkflow, "default", "move") is None
    assert list(objects.all(LabWorkflow)) == []
    assert [entry.key for entry in objects.entries(LabWorkflow)] == [KEY]
    assert objects.names(LabWorkflow, "default") == ("move",)


def test_an_object_whose_spec_was_mended_is_found_again() -> None:
    objects = Objects()
    objects.put(broken(2))
    objects.put(version(3))
    assert objects.get(LabWorkflow, "default", "move") is not None


def test_a_field_of_a_newer_release_is_a_problem_and_no_crash() -> None:
    entry = Objects().put({**version(1), "spec": {**version(1)["spec"], "window": {}}})
    assert entry is not None
    assert entry.problems[0].startswith("spec.window: unknown field 'window'")


def test_objects_are_found_by_kind_and_namespace() -> None:
    objects = Objects()
    for obj in (b.a_pool("b"), b.a_pool("a"), b.a_pool("c", meta={"namespace": "lab-1"}), b.a_run("a")):
        objects.put(b.raw(obj))
    assert objects.names(LabPool, "default") == ("a", "b")
    assert objects.names(LabPool, "lab-1") == ("c",)
    assert [run.metadata.name for run in objects.all(LabRun)] == ["a"]
    assert objects.get(LabPool, "lab-1", "a") is None
    assert len(objects.entries(LabPool)) == 3


def test_objects_may_change_while_they_are_gone_through() -> None:
    objects = Objects()
    for name in ("a", "b"):
        objects.put(b.raw(b.a_pool(name)))
    for pool in objects.all(LabPool):
        objects.remove(Key("LabPool", "default", pool.metadata.name))
    assert objects.entries(LabPool) == []
