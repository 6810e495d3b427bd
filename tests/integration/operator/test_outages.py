"""Prefect or the API server is away for a while: the operator survives, says so, and everything comes true afterwards.

These tests have servers of their own, and one operator for the whole cluster that lives through all of them.
"""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.cluster.controlplane import ControlPlane
from tests.integration.operator.conftest import StartOperator, crd_manifests
from tests.integration.operator.lab import READ, LabNamespace, pool, queues, run, workflow
from tests.integration.operator.prefect import Prefect
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.test_schedules import NIGHTLY, OFTEN, WEEKLY, ids, scheduled
from tests.support.prefect_server import PrefectServer
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import OutlivesTest

Data = dict[str, Any]

AWAY = "PrefectUnavailable"


class Site(NamedTuple):
    """A cluster, a Prefect server and the operator between them."""

    plane: ControlPlane
    server: PrefectServer
    prefect: Prefect
    operator: OperatorProcess
    empty: Path
    """Prefect's database as it was before the operator ever saw it."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, outlives_test: OutlivesTest) -> Iterator[Site]:
    """The operator is started first: it must wait for the CRDs and for Prefect."""
    plane = ControlPlane(tmp_path_factory.mktemp("outage-plane"))
    server = PrefectServer(tmp_path_factory.mktemp("outage-prefect"))
    with plane, server:  # Prefect once, for its URL
        outlives_test(lambda: [*plane.pids, *([server.pid] if server.running else [])])
        server.stop()
        empty = Path(shutil.copy(server.home / "prefect.db", server.directory / "empty.db"))
        operator = OperatorProcess(
            tmp_path_factory.mktemp("outage-operator"),
            kubeconfig=plane.kubeconfig,
            prefect_api_url=server.api_url,
            poll=1.0,
            resync=1.0,
            settings={"PREFECT_API_REQUEST_TIMEOUT": "3"},
        )
        outlives_test(lambda: operator.pids)
        with operator, Prefect(server.api_url) as prefect:
            yield Site(plane, server, prefect, operator, empty)


@pytest.fixture
def lab(site: Site) -> LabNamespace:
    """A namespace of the cluster; it stays until the cluster is thrown away."""
    name = f"outage-{secrets.token_hex(3)}"
    site.plane.create_namespace(name)
    return LabNamespace(site.plane, name)


def test_an_operator_that_is_there_first_waits_for_the_crds_and_for_prefect(site: Site) -> None:
    needed = "the cluster does not know labactions.labkeeper.dev: apply the CustomResourceDefinitions of"
    eventually(lambda: needed in site.operator.process.log_tail(), 30, what="the operator asks for the CRDs")
    site.plane.install_crds(*crd_manifests())
    site.plane.create_namespace("first")
    lab = LabNamespace(site.plane, "first")
    lab.apply(pool(), workflow("reads", flow={"name": READ}))
    conditions = lab.wait_reason("lpool", "pool", AWAY)
    assert f"Prefect does not answer at {site.server.api_url}" in conditions["Ready"]["message"]
    assert conditions["Reconciling"]["status"] == "True"
    site.server.start()
    lab.wait_current("lpool", "pool", timeout=60)
    lab.wait_current("lwf", "reads")


def test_a_deletion_waits_for_prefect_and_says_why(site: Site, lab: LabNamespace) -> None:
    lab.apply(pool(), scheduled(NIGHTLY), run("once", "moves"))
    id_ = flow_run(lab)
    name = lab.wait_current("lwf", "moves")["status"]["deploymentName"]
    objects = (("lrun", "once"), ("lwf", "moves"), ("lpool", "pool"))
    site.server.stop()
    for kind, object_ in objects:
        lab.delete(kind, object_, wait=False)
    for kind, object_ in objects:
        message = lab.wait_reason(kind, object_, AWAY)["Ready"]["message"]
        assert "Prefect does not answer at" in message
        assert lab.get(kind, object_)["metadata"]["finalizers"] == ["labkeeper.dev/prefect"]
    site.server.start()
    for kind, object_ in objects:
        eventually(lambda kind=kind, object_=object_: not lab.exists(kind, object_), 60, what=f"{kind} gone")  # type: ignore[misc]
    assert site.prefect.deployment(name) is None
    assert site.prefect.pool(f"{lab.name}.pool") is None
    left = site.prefect.run(id_)  # Prefect deletes a run that has not begun with its deployment, whichever goes first
    assert left is None or left["state_type"] == "CANCELLED"


def test_what_was_changed_while_prefect_was_away_comes_true_and_nothing_twice(site: Site, lab: LabNamespace) -> None:
    lab.apply(pool(queues=queues("a", "b")), scheduled(NIGHTLY, OFTEN))
    status = lab.wait_current("lwf", "moves")["status"]
    before = ids(site.prefect, status["deploymentName"])
    site.server.kill()
    change_everything(lab)
    assert AWAY in lab.wait_reason("lwf", "moves", AWAY)["Ready"]["reason"]
    assert lab.status("lwf", "moves")["deploymentId"] == status["deploymentId"]
    site.server.start()
    all_is_true(site, lab, status, before)


def test_a_frozen_prefect_holds_nobody_up_and_all_comes_true_when_it_thaws(site: Site, lab: LabNamespace) -> None:
    lab.apply(pool(queues=queues("a", "b")), scheduled(NIGHTLY, OFTEN))
    status = lab.wait_current("lwf", "moves")["status"]
    before = ids(site.prefect, status["deploymentName"])
    site.server.freeze()
    change_everything(lab)
    assert "ReadTimeout" in lab.wait_reason("lwf", "moves", AWAY)["Ready"]["message"]
    site.server.thaw()
    all_is_true(site, lab, status, before)


def change_everything(lab: LabNamespace) -> None:
    """One change of every sort."""
    lab.apply(
        pool(queues=queues("b", "c", "a")),
        scheduled({**NIGHTLY, "cron": "5 4 * * *"}, WEEKLY, tags=["night"]),
        workflow("new", flow={"name": READ}),
        run("once", "moves"),
    )


def all_is_true(site: Site, lab: LabNamespace, status: Data, before: dict[str, str]) -> None:
    """Everything of `change_everything` is so in Prefect, once, and the statuses say it."""
    lab.wait_current("lpool", "pool", timeout=90)
    now = lab.wait_current("lwf", "moves", timeout=90)["status"]
    new = lab.wait_current("lwf", "new", timeout=90)["status"]
    id_ = flow_run(lab)
    prefect, name = site.prefect, status["deploymentName"]
    assert prefect.order(f"{lab.name}.pool") == [("b", 1), ("c", 2), ("a", 3), ("default", 4)]
    assert now["deploymentId"] == status["deploymentId"]
    schedules = prefect.the_deployment(name)["schedules"]
    assert sorted(schedule["slug"] for schedule in schedules) == ["nightly", "weekly"]
    assert ids(prefect, name)["nightly"] == before["nightly"]
    assert prefect.schedules(name)["nightly"]["schedule"]["cron"] == "5 4 * * *"
    assert "night" in prefect.the_deployment(name)["tags"]
    assert prefect.the_deployment(new["deploymentName"])["id"] == new["deploymentId"]
    asked_for = [found["id"] for found in prefect.runs(status["deploymentId"]) if not found["auto_scheduled"]]
    assert asked_for == [id_]
    for kind, object_ in (("lwf", "moves"), ("lwf", "new"), ("lpool", "pool")):
        assert set(lab.conditions(kind, object_)) == {"Ready"}
    prefect.carry_out(id_)
    lab.wait("lrun", "once", condition="Complete")
    eventually(lambda: lab.status("lwf", "moves")["runs"]["completed"] == 1, 20, what="the run counted")
    site.operator.check_running()


def flow_run(lab: LabNamespace, name: str = "once") -> str:
    return str(eventually(lambda: lab.status("lrun", name).get("flowRunId"), 60, what="the flow run's id"))


def test_everything_comes_back_when_prefects_database_is_replaced_under_the_operator(
    site: Site, lab: LabNamespace
) -> None:
    """All that the operator remembers of Prefect is wrong then; only runs are not made again."""
    lab.apply(pool(queues=queues("a", "b")), scheduled(NIGHTLY, OFTEN), workflow("reads", flow={"name": READ}))
    lab.apply(run("once", "moves"), run("done", "moves"))
    before = {name: lab.wait_current("lwf", name)["status"] for name in ("moves", "reads")}
    lost = flow_run(lab)
    site.prefect.carry_out(flow_run(lab, "done"))
    lab.wait("lrun", "done", condition="Complete")
    eventually(lambda: lab.status("lwf", "moves")["runs"]["completed"] == 1, 20, what="the run counted")
    site.server.stop()
    for path in site.server.home.glob("prefect.db*"):
        path.unlink()
    shutil.copy(site.empty, site.server.home / "prefect.db")
    site.server.start()

    assert f"flow run {lost} is no longer in Prefect" in lab.wait_stalled("lrun", "once", "RunLost", timeout=60)
    for name, old in before.items():
        new = wait_new_deployment(lab, name, old["deploymentId"])
        assert site.prefect.the_deployment(old["deploymentName"])["id"] == new
    lab.wait_current("lpool", "pool")
    assert site.prefect.order(f"{lab.name}.pool") == [("a", 1), ("b", 2), ("default", 3)]
    assert set(ids(site.prefect, before["moves"]["deploymentName"])) == {"nightly", "often"}
    moves = str(lab.status("lwf", "moves")["deploymentId"])
    assert [found for found in site.prefect.runs(moves) if not found["auto_scheduled"]] == []

    lab.apply(run("again", "moves"))
    site.prefect.carry_out(flow_run(lab, "again"))
    lab.wait("lrun", "again", condition="Complete")
    eventually(lambda: lab.status("lwf", "moves")["runs"]["completed"] == 2, 20, what="the run counted with the others")
    site.operator.check_running()


def wait_new_deployment(lab: LabNamespace, name: str, old: str) -> str:
    """Wait until the status names another deployment than the old one and is Ready; its id."""
    eventually(lambda: lab.status("lwf", name)["deploymentId"] != old, 60, what="another deployment")
    return str(lab.wait_current("lwf", name)["status"]["deploymentId"])


def test_the_operator_survives_an_api_server_that_is_away(site: Site, lab: LabNamespace) -> None:
    """While it is away a run ends and somebody changes Prefect; afterwards people change objects again."""
    lab.apply(pool(), scheduled(NIGHTLY), run("once", "moves"))
    id_ = flow_run(lab)
    status = lab.wait_current("lwf", "moves")["status"]
    site.plane.stop_apiserver()
    site.prefect.carry_out(id_, data={"hotel": "A"})
    site.prefect.call("PATCH", f"/deployments/{status['deploymentId']}", {"parameters": {"hotel": "Z"}})
    said = "the Kubernetes API does not answer"
    eventually(lambda: said in site.operator.process.log_tail(400), 30, what="the operator noticed")
    eventually(
        lambda: site.prefect.the_deployment(status["deploymentName"])["parameters"] == {"hotel": "A"},
        30,
        what="Prefect kept as the objects say, even so",
    )
    site.plane.start_apiserver()
    lab.wait("lrun", "once", condition="Complete", timeout=60)
    assert lab.status("lrun", "once")["result"] == {"hotel": "A"}
    eventually(lambda: lab.status("lwf", "moves")["runs"]["completed"] == 1, 30, what="the run counted")

    lab.patch("lwf", "moves", suspend=True)
    lab.wait_reason("lwf", "moves", "Suspended", timeout=60)
    lab.apply(workflow("new", flow={"name": READ}), run("again", "moves", parameters={"hotel": "B"}))
    lab.wait_current("lwf", "new", timeout=60)
    lab.delete("lwf", "moves")
    site.operator.check_running()


def test_the_operator_ends_in_peace_when_it_is_told_to(site: Site, lab: LabNamespace) -> None:
    """Last of this file: also with Prefect and the API server away, within the grace that Kubernetes gives."""
    lab.apply(pool())
    lab.wait_current("lpool", "pool")
    assert site.operator.process.stop(grace=15.0) == 0
    site.operator.start()
    lab.apply(workflow("reads", flow={"name": READ}))
    lab.wait_current("lwf", "reads")
    site.server.stop()
    site.plane.stop_apiserver()
    assert site.operator.process.stop(grace=15.0) == 0


def test_a_wrong_address_of_prefect_is_named_and_the_operator_lives(
    plane: ControlPlane, namespace: str, start_operator: StartOperator
) -> None:
    """The address of the UI instead of the API's: everything is 404."""
    operator, link = start_operator(namespace, api_path="/wrong", poll=1.0, resync=1.0)
    lab = LabNamespace(plane, namespace)
    lab.apply(pool(), workflow("moves"))
    conditions = eventually(lambda: lab.conditions("lpool", "pool"), 30, what="what the pool says")
    assert conditions["Ready"]["status"] == "False"
    assert "Prefect" in conditions["Ready"]["message"]
    eventually(lambda: sum("deployments/filter" in each.path for each in link.requests()) > 2, 30)
    operator.check_running()
    operator.stop()
