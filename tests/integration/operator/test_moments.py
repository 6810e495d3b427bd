"""What happens between two awaits of the controller: deletions and changes that cross its own writes."""

from __future__ import annotations

import secrets
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from labkeeper_operator.reconcile import runs
from tests.integration.operator.bench import Bench, Died, running
from tests.integration.operator.lab import LabNamespace, manifest, pool, run, workflow
from tests.support.waiting import eventually_async

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from labkeeper_api.kinds import LabObject
    from tests.cluster.controlplane import ControlPlane
    from tests.integration.operator.prefect import Prefect
    from tests.support.prefect_server import PrefectServer

Data = dict[str, Any]


@pytest.fixture
def unwatched(plane: ControlPlane) -> LabNamespace:
    """A new namespace of which the controller only learns by `feed`; it stays until the API server is thrown away."""
    name = f"unwatched-{secrets.token_hex(3)}"
    plane.create_namespace(name)
    return LabNamespace(plane, name)


@pytest.fixture
async def bench(operator_kubeconfig: Path, lab_server: PrefectServer, unwatched: LabNamespace) -> AsyncIterator[Bench]:
    """A running controller for `unwatched`."""
    async with running(operator_kubeconfig, unwatched.name, lab_server.api_url) as found:
        yield found


def once(call: str, kind: str, act: Callable[[], object]) -> Callable[[str, LabObject], None]:
    """Act at the first such call for an object of that kind."""
    left = [act]

    def hook(made: str, obj: LabObject) -> None:
        if (made, obj.kind) == (call, kind) and left:
            left.pop()()

    return hook


async def ready(lab: LabNamespace, bench: Bench, **spec: Any) -> Data:
    """A workflow and its pool, both ready; the workflow's status."""
    lab.apply(pool(), workflow("moves", **{"parameters": {"hotel": "A"}, **spec}))
    await bench.feed()
    await eventually_async(is_ready(lab), 20, what="the workflow ready")
    return lab.status("lwf", "moves")


def is_ready(lab: LabNamespace) -> Callable[[], Any]:
    async def ask() -> bool:
        return lab.condition("lwf", "moves").get("status") == "True"

    return ask


async def until(true: Callable[[], object], what: str) -> None:
    async def ask() -> object:
        return true()

    await eventually_async(ask, 20, what=what)


async def gone(lab: LabNamespace, bench: Bench, *names: str) -> None:
    """Delete these and wait until the controller let them go."""
    for name in names:
        lab.kubectl("delete", name, "--wait=false", "--ignore-not-found")
    await bench.feed()
    await until(lambda: not any(lab.exists(*name.split("/")) for name in names), f"{names} gone")


async def test_a_run_that_is_deleted_before_it_can_be_held_back_never_starts(
    unwatched: LabNamespace, bench: Bench, prefect: Prefect
) -> None:
    lab = unwatched
    deployment = (await ready(lab, bench))["deploymentId"]
    for short in (run("short", "moves"), workflow("brief")):
        kind, name = short["kind"], short["metadata"]["name"]
        bench.cluster.before = once("add_finalizer", kind, partial(lab.kubectl, "delete", kind, name))
        lab.apply(short)
        await bench.feed()
        await until(lambda kind=kind, name=name: not lab.exists(kind, name), f"{name} gone")  # type: ignore[misc]
    lab.apply(run("after", "moves"))  # what comes behind them is done when they are
    await bench.feed()
    await until(lambda: "flowRunId" in lab.status("lrun", "after"), "the next run")
    assert [found["id"] for found in prefect.runs(deployment)] == [lab.status("lrun", "after")["flowRunId"]]
    assert prefect.deployment(f"activate-hotel/{lab.name}.brief") is None


async def test_a_change_that_comes_with_the_answer_to_our_own_write_is_not_lost(
    unwatched: LabNamespace, bench: Bench, prefect: Prefect
) -> None:
    """The answer holds the new spec and the newest version, so the event that follows tells nothing new."""
    lab = unwatched
    name = (await ready(lab, bench))["deploymentName"]
    bench.cluster.before = once("write_status", "LabWorkflow", lambda: lab.patch("lwf", "moves", suspend=True))
    lab.patch("lwf", "moves", description="Something to write.", parameters={"hotel": 3})  # Stalled: a status write
    await bench.feed()
    await until(lambda: lab.get("lwf", "moves")["spec"].get("suspend") is True, "changed meanwhile")
    lab.patch("lwf", "moves", parameters={"hotel": "B"})
    await bench.feed()
    await until(lambda: prefect.the_deployment(name)["paused"], "suspended")

    bench.cluster.before = once("write_status", "LabWorkflow", lambda: lab.patch("lwf", "moves", suspend=False))
    lab.patch("lwf", "moves", tags=["night"])
    await bench.feed()
    await until(lambda: not prefect.the_deployment(name)["paused"], "the second change carried out")


async def test_a_deletion_that_comes_with_the_answer_to_our_own_write_is_not_lost(
    unwatched: LabNamespace, bench: Bench, prefect: Prefect
) -> None:
    lab = unwatched
    deployment = (await ready(lab, bench))["deploymentId"]
    delete = once("write_status", "LabRun", lambda: lab.kubectl("delete", "lrun/once", "--wait=false"))
    bench.cluster.before = delete
    lab.apply(run("once", "moves"))
    await bench.feed()
    await until(lambda: not lab.exists("lrun", "once"), "the LabRun gone")
    assert [found["state_type"] for found in prefect.runs(deployment)] == ["CANCELLED"]


async def test_an_object_that_is_gone_does_not_come_back_with_a_late_answer(
    unwatched: LabNamespace, bench: Bench, prefect: Prefect
) -> None:
    """Or a pool that nobody has any more would be a pool for ever, and a name would stay taken."""
    lab = unwatched
    await ready(lab, bench, prefect={"deploymentName": "taken-over"})
    raws = [{**lab.get("lwf", "moves"), "kind": "LabWorkflow"}, {**lab.get("lpool", "pool"), "kind": "LabPool"}]
    for raw, kind in zip(raws, ("LabWorkflow", "LabPool"), strict=True):
        # The event of its deletion is heard before the answer to the write that let it go.
        bench.cluster.after = once("remove_finalizer", kind, partial(bench.controller.gone, raw))
        await gone(lab, bench, f"{kind}/{raw['metadata']['name']}")
    lab.apply(workflow("moves", placement={"pool": "pool"}, prefect={"deploymentName": "taken-over"}))
    await bench.feed()
    await until(lambda: lab.condition("lwf", "moves").get("reason") == "UnknownPool", "the pool unknown")
    lab.apply(workflow("heir", placement={"pool": "new"}, prefect={"deploymentName": "taken-over"}), pool("new"))
    second = {**lab.get("lwf", "moves"), "kind": "LabWorkflow"}
    lab.kubectl("delete", "lwf/moves", "--wait=false")
    await bench.feed()
    await until(lambda: not lab.exists("lwf", "moves"), "the second gone")
    bench.controller.gone(second)
    await until(lambda: lab.condition("lwf", "heir").get("status") == "True", "the heir ready")


async def test_a_run_is_one_flow_run_when_the_operator_dies_at_its_status_write(
    operator_kubeconfig: Path, lab_server: PrefectServer, unwatched: LabNamespace, prefect: Prefect
) -> None:
    lab = unwatched

    def die() -> None:
        raise Died

    async with running(operator_kubeconfig, lab.name, lab_server.api_url) as first:
        deployment = (await ready(lab, first))["deploymentId"]
        first.cluster.before = once("write_status", "LabRun", die)
        lab.apply(run("once", "moves"))
        await first.feed()
        await until(lambda: prefect.runs(deployment), "the flow run")
    assert lab.status("lrun", "once") == {}
    async with running(operator_kubeconfig, lab.name, lab_server.api_url) as second:
        await second.feed()
        await until(lambda: "flowRunId" in lab.status("lrun", "once"), "the flow run's id")
        assert [found["id"] for found in prefect.runs(deployment)] == [lab.status("lrun", "once")["flowRunId"]]


async def test_a_finished_run_plans_its_own_deletion_without_hearing_of_it(
    unwatched: LabNamespace, bench: Bench, prefect: Prefect
) -> None:
    lab = unwatched
    await ready(lab, bench)
    lab.apply(run("brief", "moves", ttlSecondsAfterFinished=1))
    await bench.feed()
    await until(lambda: "flowRunId" in lab.status("lrun", "brief"), "the flow run's id")
    prefect.carry_out(lab.status("lrun", "brief")["flowRunId"])
    await until(lambda: "deletionTimestamp" in lab.get("lrun", "brief")["metadata"], "its deletion asked for")


async def test_a_run_that_no_agent_stops_is_let_go_after_its_grace(
    unwatched: LabNamespace, bench: Bench, prefect: Prefect, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = unwatched
    monkeypatch.setattr(runs, "CANCEL_GRACE", timedelta(seconds=4))
    await ready(lab, bench)
    lab.apply(run("stuck", "moves"))
    await bench.feed()
    await until(lambda: "flowRunId" in lab.status("lrun", "stuck"), "the flow run's id")
    id_ = lab.status("lrun", "stuck")["flowRunId"]
    prefect.set_state(id_, "PENDING")
    prefect.set_state(id_, "RUNNING")
    lab.kubectl("delete", "lrun/stuck", "--wait=false")
    asked = lab.get("lrun", "stuck")["metadata"]["deletionTimestamp"]
    await bench.feed()
    await until(lambda: (prefect.run(id_) or {})["state_type"] == "CANCELLING", "asked to stop")
    assert lab.exists("lrun", "stuck"), f"let go at once, asked at {asked}"
    await until(lambda: not lab.exists("lrun", "stuck"), "let go after the grace")
    found = prefect.run(id_)
    assert found is not None
    assert found["state_type"] == "CANCELLING"  # nobody knows more of the hardware than that


async def test_an_object_made_again_under_its_name_is_not_mistaken_for_the_old_one(
    unwatched: LabNamespace, bench: Bench
) -> None:
    """The status write of the old device must not land on the new one."""
    lab = unwatched
    lab.apply(pool(), manifest("LabDevice", "hotel", driver="plate-resort", pool="pool"))

    def again() -> None:
        lab.kubectl("delete", "ldev/hotel")
        lab.apply(manifest("LabDevice", "hotel", driver="no-such-driver", pool="pool"))

    bench.cluster.before = once("write_status", "LabDevice", again)
    await bench.feed()
    await until(lambda: lab.get("ldev", "hotel")["spec"]["driver"] == "no-such-driver", "made again")
    await until(lambda: lab.condition("lpool", "pool").get("status") == "True", "the pool ready")
    assert lab.status("ldev", "hotel") == {}
    await bench.feed()
    await until(lambda: lab.condition("ldev", "hotel").get("reason") == "InvalidSpec", "the new one seen")
