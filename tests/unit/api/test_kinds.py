"""The kinds on the wire: camelCase, unknown fields refused, nothing lost between model and wire."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from labkeeper_api.kinds import BY_KIND, KINDS, LabObject, LabPool, LabWorkflow
from labkeeper_api.kinds.labrun import LabRunStatus
from labkeeper_api.meta import ObjectMeta
from tests.unit import builders as b
from tests.unit.api import strategies


def keys_in(data: Any) -> set[str]:
    """All keys of nested mappings, but not those inside free-form parameters."""
    if isinstance(data, dict):
        return set(data) | {key for name, part in data.items() if name != "parameters" for key in keys_in(part)}
    if isinstance(data, list):
        return {key for part in data for key in keys_in(part)}
    return set()


@given(strategies.manifests)
def test_every_kind_survives_the_way_over_the_wire(data: dict[str, Any]) -> None:
    model = BY_KIND[data["kind"]]
    obj = model.model_validate(data)
    assert model.model_validate(obj.wire()) == obj


@given(strategies.manifests)
def test_parameters_stay_as_they_were_written(data: dict[str, Any]) -> None:
    spec = BY_KIND[data["kind"]].model_validate(data).wire()["spec"]
    assert spec.get("parameters", {}) == data["spec"].get("parameters", {})


@given(strategies.manifests)
def test_the_wire_is_camel_case(data: dict[str, Any]) -> None:
    obj = BY_KIND[data["kind"]].model_validate(data)
    assert not [key for key in keys_in(obj.wire()) if "_" in key]


@pytest.mark.parametrize("obj", b.one_of_each(), ids=lambda obj: obj.kind)
def test_what_is_not_set_is_not_on_the_wire(obj: LabObject) -> None:
    assert None not in obj.wire()["spec"].values()


def test_a_null_parameter_stays_on_the_wire() -> None:
    workflow = b.a_workflow(parameters={"hotels": None, "nested": {"a": None}})
    assert workflow.wire()["spec"]["parameters"] == {"hotels": None, "nested": {"a": None}}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind_name())
def test_an_unknown_field_of_the_spec_is_refused(kind: type[LabObject]) -> None:
    data = b.manifest(kind.kind_name())
    data["spec"]["colour"] = "red"
    with pytest.raises(ValidationError, match="colour"):
        kind.model_validate(data)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind_name())
def test_an_unknown_field_beside_the_spec_is_refused(kind: type[LabObject]) -> None:
    with pytest.raises(ValidationError, match="extra"):
        kind.model_validate({**b.manifest(kind.kind_name()), "extra": 1})


def test_an_unknown_field_deep_in_a_spec_is_refused() -> None:
    data = b.manifest("LabPool", spec={"type": "device", "queues": [{"name": "a", "priority": 1, "color": "red"}]})
    with pytest.raises(ValidationError, match=r"queues\.0\.color"):
        LabPool.model_validate(data)


def test_an_unknown_field_of_a_status_is_left_out() -> None:
    """A newer release may have written it."""
    assert LabRunStatus.model_validate({"flowRunId": "x", "new": 1}) == LabRunStatus(flow_run_id="x")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind_name())
def test_another_api_version_is_refused(kind: type[LabObject]) -> None:
    with pytest.raises(ValidationError, match="apiVersion"):
        kind.model_validate({**b.manifest(kind.kind_name()), "apiVersion": "labkeeper.dev/v2"})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind_name())
def test_a_missing_spec_is_refused(kind: type[LabObject]) -> None:
    data = b.manifest(kind.kind_name())
    del data["spec"]
    with pytest.raises(ValidationError, match="spec"):
        kind.model_validate(data)


def test_metadata_that_we_do_not_know_pass_through() -> None:
    meta = ObjectMeta.model_validate({"name": "a", "managedFields": [{"manager": "kubectl"}]})
    assert meta.model_dump(by_alias=True)["managedFields"] == [{"manager": "kubectl"}]


def test_an_object_is_deleting_once_its_deletion_was_asked_for() -> None:
    assert b.a_pool(meta={"deletionTimestamp": b.NOW.isoformat()}).metadata.deleting
    assert not b.a_pool().metadata.deleting


def test_the_key_of_an_object_names_its_namespace() -> None:
    assert ObjectMeta(name="a", namespace="lab-1").key == "lab-1/a"


def test_the_prefect_name_of_a_pool_is_made_of_its_key() -> None:
    assert b.a_pool("plates", meta={"namespace": "lab-1"}).prefect_name == "lab-1.plates"


def test_the_prefect_name_of_a_pool_is_the_one_given() -> None:
    assert b.a_pool(prefect={"pool_name": "plate-resort-pool"}).prefect_name == "plate-resort-pool"


def test_plural_and_short_names_are_unique() -> None:
    assert len({kind.plural for kind in KINDS}) == len({kind.short_name for kind in KINDS}) == len(KINDS)


def test_two_objects_do_not_share_their_defaults() -> None:
    first, second = b.a_workflow("a"), b.a_workflow("b")
    first.spec.parameters["hotel"] = "A"
    assert second.spec.parameters == {}
    assert LabWorkflow.model_validate(b.manifest("LabWorkflow")).spec.parameters == {}
