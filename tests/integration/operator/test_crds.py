"""The CustomResourceDefinitions in a real API server: they apply, examples pass through them, mistakes do not."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from labkeeper_api.kinds import BY_KIND, KINDS
from tests.cluster.controlplane import KubectlError
from tests.integration.operator.conftest import EXAMPLES
from tests.integration.operator.lab import LabNamespace, manifest, pool, run, workflow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.controlplane import ControlPlane

Data = dict[str, Any]

FILES = sorted(EXAMPLES.glob("*.yaml"))


@pytest.fixture(scope="module")
def unserved(plane: ControlPlane) -> Iterator[LabNamespace]:
    """A namespace that no operator serves."""
    plane.create_namespace("unserved")
    yield LabNamespace(plane, "unserved")
    plane.delete_namespace("unserved")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind_name())
def test_every_crd_is_established_and_its_schema_is_structural(plane: ControlPlane, kind: Any) -> None:
    conditions = plane.get("crd", f"{kind.plural}.labkeeper.dev")["status"]["conditions"]
    by_type = {condition["type"]: condition for condition in conditions}
    assert by_type["Established"]["status"] == "True"
    assert by_type["NamesAccepted"]["status"] == "True"
    assert "NonStructuralSchema" not in by_type, by_type.get("NonStructuralSchema")


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_every_example_comes_back_as_it_was_applied(unserved: LabNamespace, file: Path) -> None:
    documents = [document for document in yaml.safe_load_all(file.read_text()) if document]
    assert documents
    unserved.kubectl("apply", "--validate=strict", f"--filename={file}")
    for document in documents:
        found = unserved.get(document["kind"], document["metadata"]["name"])
        assert contains(found["spec"], document["spec"])
        model = BY_KIND[document["kind"]]
        given = {**document, "metadata": found["metadata"]}
        assert model.model_validate(found) == model.model_validate(given)
    assert unserved.kubectl("diff", f"--filename={file}") == ""  # exit code 0: no difference


def contains(found: Any, given: Any) -> bool:
    """Whether all that was given is there; the API server adds defaults beside it."""
    if isinstance(given, dict):
        return isinstance(found, dict) and all(key in found and contains(found[key], given[key]) for key in given)
    if isinstance(given, list):
        return len(found) == len(given) and all(contains(one, two) for one, two in zip(found, given, strict=True))
    return bool(found == given)


def schedule(**fields: Any) -> Data:
    return workflow("refused", schedules=[{"name": "one", **fields}])


REFUSED = {
    "two flow sources": (
        workflow("refused", flow={"name": "plate-resort.tour", "entrypoint": "my_lab.flows:tour"}),
        "give exactly one flow source: flow.name for a flow of the catalog",
    ),
    "no flow source": (workflow("refused", flow={}), "give exactly one flow source"),
    "a canvas twice": (
        workflow("refused", flow={"canvas": {"inline": "{}", "file": "canvas.json"}}),
        "give exactly one of canvas.inline, canvas.configMapRef and canvas.file",
    ),
    "a protocol from nowhere": (
        workflow("refused", flow={"protocol": {}}),
        "give exactly one of protocol.configMapRef and protocol.file",
    ),
    "a dry run of a driver operation": (
        workflow("refused", dryRun=True),
        "dryRun is for flow.canvas and flow.protocol",
    ),
    "impossible minute": (schedule(cron="61 * * * *"), "cron must have five fields: minute 0-59"),
    "six cron fields": (schedule(cron="0 0 9 * * 1"), "cron must have five fields"),
    "interval of zero": (schedule(intervalSeconds=0), "intervalSeconds must be at least 1; to stop a schedule"),
    "negative interval": (schedule(intervalSeconds=-5), "intervalSeconds must be at least 1"),
    "two timings": (
        schedule(cron="0 9 * * *", intervalSeconds=60),
        "give exactly one of cron, intervalSeconds and rrule",
    ),
    "anchor of a cron": (
        schedule(cron="0 9 * * *", anchor="2026-01-01T09:00:00Z"),
        "anchor only goes with intervalSeconds",
    ),
    "two schedules of one name": (
        workflow("refused", schedules=[{"name": "a", "cron": "0 9 * * *"}, {"name": "a", "cron": "0 8 * * *"}]),
        'spec.schedules[1]: Duplicate value: {"name":"a"}',
    ),
    "negative retries": (workflow("refused", retries=-1), "retries cannot be negative: 0 means that a failed run"),
    "a concurrency limit of zero": (workflow("refused", concurrency={"limit": 0}), "greater than or equal to 1"),
    "equal queue priorities": (
        pool("refused", queues=[{"name": "a", "priority": 1}, {"name": "b", "priority": 1}]),
        "two queues have the same priority: give every queue of the pool a priority of its own",
    ),
    "an unknown field": (workflow("refused", colour="red"), 'unknown field "spec.colour"'),
    "an unknown nested field": (
        workflow("refused", placement={"pool": "pool", "colour": "red"}),
        'unknown field "spec.placement.colour"',
    ),
    "an unknown pool type": (pool("refused", type="robot"), 'supported values: "kubernetes", "device"'),
    "two device configurations": (
        manifest("LabDevice", "refused", driver="plate-resort", pool="pool", config={"inline": "a: 1", "files": ["b"]}),
        "give exactly one of config.inline and config.files",
    ),
    "an acknowledgement without outcome": (
        manifest("LabAction", "refused", device="d", action="Acknowledge", reason="looked", requester="ada"),
        "acknowledging needs an outcome: Completed, or NotCompleted",
    ),
    "no spec at all": ({key: value for key, value in pool("refused").items() if key != "spec"}, "spec: Required"),
}


@pytest.mark.parametrize(("mistake", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_a_mistake_is_refused_with_a_sentence_that_helps(unserved: LabNamespace, mistake: Data, sentence: str) -> None:
    with pytest.raises(KubectlError) as refusal:
        unserved.apply(mistake)
    assert sentence in str(refusal.value)
    assert not unserved.exists(mistake["kind"], "refused")


def test_what_cannot_be_changed_is_refused_with_what_to_do_instead(unserved: LabNamespace) -> None:
    action = {"device": "d", "action": "Release", "reason": "all clear", "requester": "ada"}
    unserved.apply(pool("fixed"), run("fixed", "tour", parameters={"hotels": ["A"]}))
    unserved.apply(manifest("LabAction", "fixed", **action))
    changes = {
        "LabPool": (pool("fixed", type="kubernetes"), "type cannot be changed: delete the LabPool and create it again"),
        "LabRun": (run("fixed", "tour"), "a LabRun is one run and cannot be changed: create another LabRun"),
        "LabAction": (
            manifest("LabAction", "fixed", **{**action, "reason": "well"}),
            "a LabAction is a record and cannot be changed",
        ),
    }
    for kind, (changed, sentence) in changes.items():
        before = unserved.get(kind, "fixed")
        with pytest.raises(KubectlError) as refusal:
            unserved.apply(changed)
        assert sentence in str(refusal.value)
        assert unserved.get(kind, "fixed")["spec"] == before["spec"]


def test_kubectl_get_lab_shows_every_kind_with_its_columns(unserved: LabNamespace) -> None:
    unserved.apply(pool("one"), workflow("one"), run("one", "one"))
    unserved.apply(
        manifest("LabDevice", "one", driver="plate-resort", pool="one"),
        manifest("LabAction", "one", device="one", action="Release", reason="all clear", requester="ada"),
    )
    shown = unserved.kubectl("get", "lab", "--output=name").splitlines()
    assert {f"{kind.kind_name().lower()}.labkeeper.dev/one" for kind in KINDS} <= set(shown)
    by_kind = unserved.kubectl("get", "lab")
    for kind in KINDS:
        wanted = ["NAME", *(column.name.upper() for column in kind.columns if not column.priority)]
        table = unserved.kubectl("get", kind.short_name, "one").splitlines()
        assert re.split(r"\s{2,}", table[0].strip()) == wanted
        assert table[1].split()[0] == "one"
        assert all(name in by_kind for name in wanted)
    assert "plate-resort.activate-hotel" in unserved.kubectl("get", "lwf", "one")
    from_map = {"canvas": {"configMapRef": {"name": "canvases", "key": "zinc.json"}}}
    unserved.apply(workflow("two", flow={"canvas": {"file": "canvas.json"}}), workflow("three", flow=from_map))
    assert "canvas.json" in unserved.kubectl("get", "lwf", "two")
    assert "canvases" in unserved.kubectl("get", "lwf", "three")
    wide = unserved.kubectl("get", "lwf", "one", "--output=wide").splitlines()[0]
    assert "DEPLOYMENT" in wide
    assert "MESSAGE" in wide


def test_a_status_that_the_operator_writes_passes_the_schema_whole(unserved: LabNamespace) -> None:
    """Unknown fields of a status would be dropped in silence, and the operator would write it again and again."""
    unserved.apply(run("told", "tour"))
    status = {
        "observedGeneration": 1,
        "state": "Completed",
        "result": {"angle": 12.5, "deep": {"list": [1, {"a": None}], "text": "x"}, "empty": {}},
        "simulated": True,
        "started": "2026-01-01T09:00:00Z",
        "conditions": [
            {
                "type": "Complete",
                "status": "True",
                "reason": "RunCompleted",
                "message": "",
                "lastTransitionTime": "2026-01-01T09:00:00Z",
            }
        ],
    }
    patch = json.dumps({"status": status})
    unserved.kubectl("patch", "lrun", "told", "--subresource=status", "--type=merge", f"--patch={patch}")
    status["result"]["deep"]["list"][1].pop("a", None)  # type: ignore[index]
    found = unserved.status("lrun", "told")
    assert contains(found, status)
