"""The generated CustomResourceDefinitions: structural schemas, rules with messages, bounds, columns and names."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import given

from labkeeper_api.crds import all_crds
from labkeeper_api.kinds import BY_KIND, KINDS, LabDevice, LabObject, LabPool, LabRun, LabWorkflow
from tests.unit import builders as b
from tests.unit.api import strategies
from tests.unit.api.crd_schema import definition_of, is_free, nodes, part, refusals, schema_of

CRDS = b.REPOSITORY / "charts" / "labkeeper" / "crds"
FORBIDDEN = ("$ref", "$defs", "anyOf", "oneOf", "allOf", "not", "title", "const", "additionalProperties", "examples")
SENTENCE = re.compile(r"^\S.{9,}[^.]$", re.DOTALL)

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind_name())


def version_of(kind: type[LabObject]) -> dict[str, Any]:
    """The only version of a kind's CRD."""
    (version,) = definition_of(kind)["spec"]["versions"]
    return dict(version)


def user_nodes(kind: type[LabObject]) -> list[tuple[str, dict[str, Any]]]:
    """What users write: all nodes of the spec."""
    return [(path, node) for path, node in nodes(schema_of(kind)) if path.startswith(".spec")]


@every_kind
def test_a_schema_is_structural(kind: type[LabObject]) -> None:
    assert [(path, key) for path, node in nodes(schema_of(kind)) for key in FORBIDDEN if key in node] == []


@every_kind
def test_every_node_of_a_schema_is_typed(kind: type[LabObject]) -> None:
    types = {"object", "array", "string", "integer", "number", "boolean"}
    assert [path for path, node in nodes(schema_of(kind)) if node.get("type") not in types] == []


@every_kind
def test_an_object_says_what_it_holds_or_holds_anything(kind: type[LabObject]) -> None:
    vague = [
        path
        for path, node in nodes(schema_of(kind))
        if node["type"] == "object" and path != ".metadata" and is_free(node) == bool(node.get("properties"))
    ]
    assert vague == []


@every_kind
def test_every_array_says_what_it_holds(kind: type[LabObject]) -> None:
    assert [path for path, node in nodes(schema_of(kind)) if node["type"] == "array" and "items" not in node] == []


@every_kind
def test_required_fields_are_there(kind: type[LabObject]) -> None:
    assert all(set(node.get("required", [])) <= set(node.get("properties", {})) for _, node in nodes(schema_of(kind)))


@every_kind
def test_only_the_spec_has_defaults(kind: type[LabObject]) -> None:
    """A default in a status would be written by the API server, as if the operator had said it."""
    assert [path for path, node in nodes(schema_of(kind)) if "default" in node and not path.startswith(".spec")] == []


@every_kind
def test_exclusive_bounds_are_flags(kind: type[LabObject]) -> None:
    for _, node in nodes(schema_of(kind)):
        for flag, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if flag in node:
                assert node[flag] is True
                assert bound in node


@every_kind
def test_every_string_of_users_is_bounded(kind: type[LabObject]) -> None:
    unbounded = [
        path
        for path, node in user_nodes(kind)
        if node["type"] == "string" and not {"maxLength", "enum"} & set(node) and node.get("format") != "date-time"
    ]
    assert unbounded == []


@every_kind
def test_every_array_of_users_is_bounded(kind: type[LabObject]) -> None:
    assert [path for path, node in user_nodes(kind) if node["type"] == "array" and "maxItems" not in node] == []


@every_kind
def test_every_number_of_users_has_a_highest_value(kind: type[LabObject]) -> None:
    numbers = [(path, node) for path, node in user_nodes(kind) if node["type"] in ("integer", "number")]
    assert [path for path, node in numbers if "maximum" not in node] == []


@every_kind
def test_everything_users_write_is_described(kind: type[LabObject]) -> None:
    named = [(path, node) for path, node in user_nodes(kind) if not path.endswith("[]")]
    assert [path for path, node in named if not node.get("description")] == []


@every_kind
def test_every_rule_has_a_message_that_is_a_sentence(kind: type[LabObject]) -> None:
    for _, node in nodes(schema_of(kind)):
        for rule in node.get("x-kubernetes-validations", []):
            assert rule["rule"].strip()
            assert SENTENCE.match(rule["message"])


@every_kind
def test_the_field_of_a_rule_is_there(kind: type[LabObject]) -> None:
    for _, node in nodes(schema_of(kind)):
        for rule in node.get("x-kubernetes-validations", []):
            if "fieldPath" in rule:
                assert rule["fieldPath"].removeprefix(".") in node["properties"]


@pytest.mark.parametrize(
    ("kind", "path", "rules"),
    [
        ("LabAction", ".spec", 3),
        ("LabDevice", ".spec.config", 1),
        ("LabPool", ".spec", 1),
        ("LabPool", ".spec.type", 1),
        ("LabRun", ".spec", 1),
        ("LabWorkflow", ".spec", 2),
        ("LabWorkflow", ".spec.flow", 1),
        ("LabWorkflow", ".spec.flow.canvas", 1),
        ("LabWorkflow", ".spec.flow.protocol", 1),
        ("LabWorkflow", ".spec.schedules[]", 4),
    ],
)
def test_a_rule_of_the_model_stands_in_the_crd(kind: str, path: str, rules: int) -> None:
    assert len(part(schema_of(BY_KIND[kind]), path)["x-kubernetes-validations"]) == rules


@pytest.mark.parametrize(
    ("kind", "path", "key"),
    [
        (LabWorkflow, ".spec.schedules", "name"),
        (LabPool, ".spec.queues", "name"),
        (LabPool, ".status.queues", "name"),
        (LabDevice, ".status.units", "name"),
        *((kind, ".status.conditions", "type") for kind in KINDS),
    ],
)
def test_a_list_of_named_things_is_merged_by_name(kind: type[LabObject], path: str, key: str) -> None:
    node = part(schema_of(kind), path)
    assert (node["x-kubernetes-list-type"], node["x-kubernetes-list-map-keys"]) == ("map", [key])
    assert key in node["items"]["required"]


@pytest.mark.parametrize(("kind", "path"), [(LabWorkflow, ".spec.tags"), (LabDevice, ".spec.queues")])
def test_a_list_of_words_is_a_set(kind: type[LabObject], path: str) -> None:
    assert part(schema_of(kind), path)["x-kubernetes-list-type"] == "set"


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (LabWorkflow, ".spec.parameters"),
        (LabWorkflow, ".spec.schedules[].parameters"),
        (LabRun, ".spec.parameters"),
        (LabRun, ".status.result"),
    ],
)
def test_parameters_and_results_keep_whatever_they_hold(kind: type[LabObject], path: str) -> None:
    node = part(schema_of(kind), path)
    assert is_free(node)
    assert node["type"] == "object"


@every_kind
def test_a_kind_is_namespaced_with_a_status_of_its_own(kind: type[LabObject]) -> None:
    version = version_of(kind)
    assert definition_of(kind)["spec"]["scope"] == "Namespaced"
    assert version["subresources"] == {"status": {}}
    assert (version["name"], version["served"], version["storage"]) == ("v1alpha1", True, True)


@every_kind
def test_a_kind_is_found_by_short_name_and_category(kind: type[LabObject]) -> None:
    names = definition_of(kind)["spec"]["names"]
    assert names["shortNames"] == [kind.short_name]
    assert names["categories"] == ["lab"]
    assert (names["listKind"], names["singular"]) == (f"{names['kind']}List", names["kind"].lower())
    assert definition_of(kind)["metadata"]["name"] == f"{names['plural']}.labkeeper.dev"


def resolves(schema: dict[str, Any], json_path: str) -> bool:
    """Whether a column's path leads to something that the schema knows."""
    plain = re.sub(r"\[\?\(@\.type=='[A-Z][a-z]+'\)\]", "[]", json_path)
    head, _, choice = plain.partition("['")
    candidates = [f"{head}.{name}" for name in choice.rstrip("']").split("','")] if choice else [plain]
    known = {path for path, _ in nodes(schema)}
    if head.endswith("."):  # `..` looks at all levels below
        ends = [candidate.rsplit(".", 1)[1] for candidate in candidates]
        return all(any(path.startswith(head[:-1]) and path.endswith(f".{end}") for path in known) for end in ends)
    return all(path in known or path == ".metadata.creationTimestamp" for path in candidates)


@every_kind
def test_every_column_shows_something_that_is_there(kind: type[LabObject]) -> None:
    columns = version_of(kind)["additionalPrinterColumns"]
    assert [column["jsonPath"] for column in columns if not resolves(schema_of(kind), column["jsonPath"])] == []


@every_kind
def test_columns_are_named_once_and_end_with_the_age(kind: type[LabObject]) -> None:
    columns = version_of(kind)["additionalPrinterColumns"]
    names = [column["name"] for column in columns]
    assert len(set(names)) == len(names)
    assert columns[-1] == {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not LabRun], ids=lambda kind: kind.kind_name())
def test_kubectl_get_says_whether_an_object_is_ready_and_why_not(kind: type[LabObject]) -> None:
    shown = {c["name"] for c in version_of(kind)["additionalPrinterColumns"] if not c.get("priority")}
    assert {"Ready", "Reason"} <= shown


@given(strategies.manifests)
def test_the_crd_accepts_what_the_model_accepts(data: dict[str, Any]) -> None:
    kind = BY_KIND[data["kind"]]
    assert refusals(kind, kind.model_validate(data).wire()) == []


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("LabPool", {"type": "device", "colour": "red"}),
        ("LabPool", {}),
        ("LabPool", {"type": "process"}),
        ("LabPool", {"type": "device", "concurrencyLimit": 0}),
        ("LabDevice", {"driver": "a", "pool": "b", "simulate": {"timeFactor": 0}}),
    ],
)
def test_the_schema_refuses_by_itself_what_needs_no_rule(kind: str, spec: dict[str, Any]) -> None:
    assert refusals(BY_KIND[kind], b.manifest(kind, spec=spec))


def test_the_chart_holds_the_crds_as_they_are_generated() -> None:
    """`make manifests` writes them."""
    found = {path.name: yaml.safe_load(path.read_text("utf-8")) for path in CRDS.glob("*.yaml")}
    assert found == all_crds()


def test_generating_twice_gives_the_same() -> None:
    assert all_crds() == all_crds()


def test_a_crd_holds_plain_data_only() -> None:
    for definition in all_crds().values():
        assert yaml.safe_load(yaml.safe_dump(definition)) == definition
