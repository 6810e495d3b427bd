"""What operator and agent say to each other through Prefect."""

from __future__ import annotations

import jsonschema
import pytest

from labkeeper_api import wire
from labkeeper_api.operations import OPERATIONS


def test_the_owner_of_a_deployment_is_read_back_from_its_tags() -> None:
    assert wire.owner_of(["night", wire.TAG, wire.owner_tag("uid-1")]) == "uid-1"


@pytest.mark.parametrize("tags", [[], ["labkeeper"], ["uid-1"], ["x-labkeeper.dev/uid=uid-1"]])
def test_a_deployment_without_our_tag_is_nobodys(tags: list[str]) -> None:
    assert wire.owner_of(tags) is None


def test_a_unit_is_named_after_namespace_device_and_node() -> None:
    assert wire.unit_name("lab-1", "resort", "bench-2") == "lab-1.resort.bench-2"


def test_every_variable_of_the_device_job_template_reaches_the_job() -> None:
    template = wire.device_job_template()
    variables = template["variables"]["properties"]
    assert template["job_configuration"] == {name: "{{ " + name + " }}" for name in variables}
    assert set(variables) == {"operation", "retries", "retry_delay_seconds", "timeout_seconds"}


def test_the_device_job_template_asks_for_an_operation_only() -> None:
    schema = wire.device_job_template()["variables"]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate({"operation": "plate-resort.connect"}, schema)
    with pytest.raises(jsonschema.ValidationError, match="operation"):
        jsonschema.validate({"retries": 1}, schema)


def test_two_job_templates_share_nothing() -> None:
    wire.device_job_template()["variables"]["properties"].clear()
    assert wire.device_job_template()["variables"]["properties"]


def test_operations_are_found_by_driver_and_name() -> None:
    assert all(key == f"{spec.driver}.{spec.name}" for key, spec in OPERATIONS.items())


def test_what_moves_nothing_may_be_repeated() -> None:
    assert all(spec.idempotent for spec in OPERATIONS.values() if not spec.physical)


def test_an_emergency_stop_is_never_queued() -> None:
    assert OPERATIONS["plate-resort.emergency_stop"].emergency
