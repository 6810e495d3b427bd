"""The flow catalog: the shape of parameter schemas that Prefect reads, and what is said about parameters."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel, ValidationError

from labkeeper_api.catalog import Catalog, CatalogEntry, builtin_catalog, parameter_problems
from labkeeper_api.kinds.labpool import PoolType
from labkeeper_api.operations import OPERATIONS, OperationSpec
from labkeeper_api.operations.plate_resort import GUIDE_DEPLOYMENTS
from labkeeper_api.operations.spec import Parameters

ENTRIES = builtin_catalog().entries


def schema_of(name: str) -> dict[str, Any]:
    """The parameter schema of a flow of the plate hotel."""
    entry = builtin_catalog().get(f"plate-resort.{name}")
    assert entry is not None
    return entry.parameter_schema


def said_about(flow: str, parameters: dict[str, Any], *, complete: bool = True) -> list[str]:
    """What is said about parameters of a flow of the plate hotel."""
    return [str(problem) for problem in parameter_problems(schema_of(flow), parameters, complete=complete)]


class Well(BaseModel):
    """A nested parameter."""

    row: int


class Wells(Parameters):
    """Parameters that hold other models."""

    wells: list[Well]


NESTED = OperationSpec("ot2", "mix", "Mix.", Wells).parameter_schema()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_parameter_schema_has_the_shape_that_prefect_writes(entry: CatalogEntry) -> None:
    schema = entry.parameter_schema
    assert (schema["title"], schema["type"]) == ("Parameters", "object")
    assert isinstance(schema["required"], list)
    positions = [prop["position"] for prop in schema["properties"].values()]
    assert positions == list(range(len(positions)))
    assert all(prop["title"] for prop in schema["properties"].values())


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_parameter_schema_is_a_valid_json_schema(entry: CatalogEntry) -> None:
    jsonschema.Draft202012Validator.check_schema(entry.parameter_schema)


def test_parameters_without_a_default_are_required() -> None:
    assert schema_of("activate-hotel")["required"] == ["hotel"]
    assert schema_of("connect")["required"] == []


def test_every_operation_has_a_flow_of_its_own() -> None:
    assert {entry.operation for entry in ENTRIES} == set(OPERATIONS)
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)


def test_the_flows_of_the_guide_are_all_there() -> None:
    guide = {f"plate-resort.{operation.replace('_', '-')}" for operation in GUIDE_DEPLOYMENTS}
    assert guide <= set(builtin_catalog().names())


def test_the_entry_of_an_operation_says_what_the_operation_says() -> None:
    entry = builtin_catalog().get("plate-resort.go-home")
    assert entry is not None
    assert (entry.flow_name, entry.pool_type, entry.driver) == ("go-home", PoolType.DEVICE, "plate-resort")
    assert (entry.physical, entry.idempotent) == (True, False)


def test_names_stand_in_alphabetical_order() -> None:
    assert builtin_catalog().names() == sorted(builtin_catalog().names())


def test_a_flow_that_is_not_there_is_none() -> None:
    assert builtin_catalog().get("plate-resort.fly") is None


def test_the_catalog_survives_its_file() -> None:
    """The operator reads it from a file, so that it never imports a flow."""
    assert Catalog.model_validate_json(builtin_catalog().model_dump_json()) == builtin_catalog()


@pytest.mark.parametrize("name", ["connect", "Plate.connect", "plate resort.connect", "a..b", ".a", "a."])
def test_a_catalog_name_is_words_with_a_dot(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        CatalogEntry.model_validate({**ENTRIES[0].model_dump(), "name": name})


def test_right_parameters_have_no_problem() -> None:
    assert said_about("activate-hotel", {"hotel": "A", "precise": False, "overrides": {"pwm_max": 500}}) == []


def test_a_missing_parameter_is_a_problem_of_a_complete_set() -> None:
    (problem,) = said_about("activate-hotel", {})
    assert problem == "spec.parameters: 'hotel' is a required property (the flow takes hotel, precise, overrides)"


def test_a_missing_parameter_may_still_come_with_a_run() -> None:
    assert said_about("activate-hotel", {}, complete=False) == []


def test_an_unknown_parameter_is_answered_with_those_of_the_flow() -> None:
    (problem,) = said_about("activate-hotel", {"hotle": "A"}, complete=False)
    assert "'hotle' was unexpected" in problem
    assert problem.endswith("(the flow takes hotel, precise, overrides)")


def test_a_parameter_of_a_flow_without_any_is_told_so() -> None:
    (problem,) = said_about("go-home", {"angle": 5})
    assert problem.endswith("(the flow takes no parameters)")


def test_a_wrong_value_is_placed_and_explained() -> None:
    (problem,) = said_about("set-speed", {"speed": 0})
    assert problem.startswith("spec.parameters.speed: 0 is less than the minimum of 1")
    assert problem.endswith("(Profile velocity in units of 0.229 rpm; 50 is about 11.5 rpm.)")


def test_all_wrong_parameters_are_said_in_order_of_their_place() -> None:
    problems = parameter_problems(schema_of("move-to-angle"), {"precise": "x", "angle": "y"}, complete=True)
    assert [problem.path for problem in problems] == ["spec.parameters.angle", "spec.parameters.precise"]


def test_a_problem_in_a_list_names_its_index() -> None:
    (problem,) = parameter_problems(schema_of("tour"), {"hotels": ["A", 5]}, complete=True, path="p")
    assert problem.path.startswith("p.hotels")


def test_the_place_of_parameters_can_be_another() -> None:
    (problem,) = parameter_problems(schema_of("set-speed"), {}, complete=True, path="spec.schedules[0].parameters")
    assert problem.path == "spec.schedules[0].parameters"


def test_checking_parameters_leaves_the_schema_as_it_was() -> None:
    schema = schema_of("activate-hotel")
    parameter_problems(schema, {}, complete=False)
    assert schema["required"] == ["hotel"]


def test_nested_parameters_can_be_checked() -> None:
    """References of the schema lead somewhere."""
    assert parameter_problems(NESTED, {"wells": [{"row": 1}]}, complete=True) == []
    assert (
        parameter_problems(NESTED, {"wells": [{"row": "x"}]}, complete=True)[0].path == "spec.parameters.wells[0].row"
    )
