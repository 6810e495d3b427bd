"""Schedules keep their ids in Prefect, and the runs that Prefect has planned stay until a schedule really changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.integration.operator.lab import LabNamespace, pool, workflow
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.operator.prefect import Prefect
    from tests.support.prefect_link import Link

Data = dict[str, Any]

NIGHTLY: Data = {"name": "nightly", "cron": "0 3 * * *", "timezone": "Asia/Tokyo"}
OFTEN: Data = {"name": "often", "intervalSeconds": 3600, "anchor": "2026-01-01T09:00:00Z"}
WEEKLY: Data = {"name": "weekly", "rrule": "FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=9"}
ALL = (NIGHTLY, OFTEN, WEEKLY)


def scheduled(*schedules: Data, **spec: Any) -> Data:
    return workflow("moves", **{"parameters": {"hotel": "A"}, "schedules": list(schedules), **spec})


def ids(prefect: Prefect, name: str) -> dict[str, str]:
    return {slug: schedule["id"] for slug, schedule in prefect.schedules(name).items()}


def test_a_schedules_id_survives_every_change_of_the_workflow(lab: LabNamespace, prefect: Prefect) -> None:
    lab.apply(pool(), scheduled(*ALL))
    name = lab.wait_current("lwf", "moves")["status"]["deploymentName"]
    before = ids(prefect, name)
    assert set(before) == {"nightly", "often", "weekly"}

    def after(*schedules: Data, **spec: Any) -> dict[str, Data]:
        lab.apply(scheduled(*schedules, **spec))
        lab.wait_current("lwf", "moves")
        assert ids(prefect, name) == before
        return prefect.schedules(name)

    found = after({**NIGHTLY, "cron": "30 4 * * 1-5"}, OFTEN, WEEKLY)
    assert found["nightly"]["schedule"]["cron"] == "30 4 * * 1-5"
    assert found["nightly"]["schedule"]["timezone"] == "Asia/Tokyo"
    found = after(NIGHTLY, {**OFTEN, "intervalSeconds": 7200}, {**WEEKLY, "rrule": "FREQ=DAILY;BYHOUR=7"})
    assert found["often"]["schedule"]["interval"] == 7200
    assert found["weekly"]["schedule"]["rrule"].endswith("FREQ=DAILY;BYHOUR=7")
    found = after({**NIGHTLY, "parameters": {"hotel": "C"}}, OFTEN, WEEKLY)
    assert found["nightly"]["parameters"] == {"hotel": "C"}
    found = after({**NIGHTLY, "suspend": True}, OFTEN, WEEKLY)
    assert [found[slug]["active"] for slug in ("nightly", "often", "weekly")] == [False, True, True]
    assert found["nightly"]["parameters"] == {}
    found = after({"name": "nightly", "intervalSeconds": 600}, OFTEN, WEEKLY)
    assert found["nightly"]["active"] is True
    assert found["nightly"]["schedule"]["interval"] == 600
    after(*ALL, parameters={"hotel": "B"}, description="Another one.", suspend=True)
    found = after(*ALL)
    assert found["nightly"]["schedule"]["cron"] == NIGHTLY["cron"]


def test_a_schedule_is_added_and_another_removed_while_the_rest_stays(lab: LabNamespace, prefect: Prefect) -> None:
    lab.apply(pool(), scheduled(NIGHTLY, OFTEN))
    name = lab.wait_current("lwf", "moves")["status"]["deploymentName"]
    before = ids(prefect, name)
    lab.apply(scheduled(OFTEN, WEEKLY))
    lab.wait_current("lwf", "moves")
    after = ids(prefect, name)
    assert set(after) == {"often", "weekly"}
    assert after["often"] == before["often"]
    lab.apply(scheduled())
    lab.wait_current("lwf", "moves")
    assert ids(prefect, name) == {}
    lab.apply(scheduled({**NIGHTLY, "name": "often"}))  # a first schedule again, under a name that was used before
    lab.wait_current("lwf", "moves")
    assert set(ids(prefect, name)) == {"often"}


def test_a_changed_schedule_plans_its_runs_anew_with_its_parameters(lab: LabNamespace, prefect: Prefect) -> None:
    hourly = {"name": "hourly", "cron": "0 * * * *", "parameters": {"hotel": "C"}}
    lab.apply(pool(), scheduled(hourly))
    id_ = lab.wait_current("lwf", "moves")["status"]["deploymentId"]
    wait_planned(prefect, id_, lambda run: run["parameters"] == {"hotel": "C"})
    lab.apply(scheduled({**hourly, "parameters": {"hotel": "D"}}))
    wait_planned(prefect, id_, lambda run: run["parameters"] == {"hotel": "D"})
    lab.apply(scheduled({**hourly, "cron": "30 * * * *"}))
    wait_planned(prefect, id_, lambda run: start(run).minute == 30)


def test_next_run_follows_a_changed_and_a_suspended_schedule(lab: LabNamespace, prefect: Prefect) -> None:
    yearly = {"name": "rare", "cron": "0 0 1 1 *"}
    lab.apply(pool(), scheduled(yearly))
    id_ = lab.wait_current("lwf", "moves")["status"]["deploymentId"]
    told(lab, lambda moment: moment.month == 1)
    assert {start(run).month for run in prefect.scheduled(id_)} == {1}

    lab.apply(scheduled({"name": "rare", "cron": "*/5 * * * *"}))
    told(lab, lambda moment: moment - datetime.now(UTC) < timedelta(minutes=6))
    lab.apply(scheduled({"name": "rare", "cron": "*/5 * * * *", "suspend": True}))
    eventually(lambda: "nextRun" not in lab.status("lwf", "moves"), 30, what="no next run")
    lab.apply(scheduled(yearly))
    told(lab, lambda moment: moment.month == 1)
    lab.apply(scheduled(yearly, suspend=True))
    eventually(lambda: "nextRun" not in lab.status("lwf", "moves"), 30, what="no next run")


def test_planned_runs_stay_through_a_steady_state_and_an_annotation(
    lab: LabNamespace, prefect: Prefect, lab_link: Link
) -> None:
    lab.apply(pool(), scheduled(*ALL))
    id_ = lab.wait_current("lwf", "moves")["status"]["deploymentId"]
    planned = wait_planned(prefect, id_, lambda _: True)
    told(lab, lambda _: True)
    lab_link.forget()
    lab.kubectl("annotate", "lwf", "moves", "seen-by=ada")
    lab.kubectl("label", "lpool", "pool", "room=b2")
    wait_rounds(lab_link, 3)
    assert lab_link.writes() == []
    assert planned <= {run["id"] for run in prefect.scheduled(id_)}


def wait_rounds(link: Link, count: int) -> None:
    """Wait until the operator has looked at all deployments that many times."""
    looked = "/deployments/filter"
    eventually(
        lambda: sum(looked in request.path for request in link.requests()) >= count,
        60,
        what=f"{count} looks at all deployments",
    )


def wait_planned(prefect: Prefect, deployment_id: str, is_new: Callable[[Data], bool]) -> set[str]:
    """Wait until Prefect's scheduler has planned runs and all are as they should be now; their ids."""

    def planned() -> set[str]:
        runs = prefect.scheduled(deployment_id)
        return {run["id"] for run in runs} if runs and all(is_new(run) for run in runs) else set()

    return eventually(planned, 45, what="planned runs")


def told(lab: LabNamespace, right: Callable[[datetime], bool]) -> None:
    """Wait until the status names a next run that is right."""

    def there() -> bool:
        moment = lab.status("lwf", "moves").get("nextRun")
        return moment is not None and right(datetime.fromisoformat(moment))

    eventually(there, 45, what="the next run in the status")


def start(run: Data) -> datetime:
    return datetime.fromisoformat(run["expected_start_time"])
