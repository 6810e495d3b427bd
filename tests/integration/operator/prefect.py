"""Prefect as a person sees it through its REST API, and the part of an agent: setting states. Plain httpx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import httpx

from tests.support.waiting import eventually

if TYPE_CHECKING:
    from datetime import datetime

Data = dict[str, Any]


class Prefect:
    """A client of one server."""

    def __init__(self, api_url: str) -> None:
        # SQLite answers 503 when it is locked, and a server that was stopped closes connections.
        self._client = httpx.Client(base_url=api_url, timeout=20.0, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request; None for 404."""

        def attempt() -> httpx.Response:
            response = self._client.request(method, path, json=body)
            if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                raise httpx.HTTPStatusError("database is locked", request=response.request, response=response)
            return response

        response = eventually(lambda: [attempt()], retry_on=(httpx.HTTPStatusError,), what=f"{method} {path}")[0]
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        if response.is_error:
            raise AssertionError(f"{method} {path}: {response.status_code} {response.text}")
        return response.json() if response.content else None

    def deployment(self, full_name: str) -> Data | None:
        """A deployment by `flow/deployment`."""
        found: Data | None = self.call("GET", f"/deployments/name/{full_name}")
        return found

    def the_deployment(self, full_name: str) -> Data:
        """A deployment that is there."""
        found = self.deployment(full_name)
        assert found is not None, f"Prefect has no deployment {full_name}"
        return found

    def deployments(self, tag: str) -> list[Data]:
        """All deployments with a tag."""
        found: list[Data] = self.call("POST", "/deployments/filter", {"deployments": {"tags": {"all_": [tag]}}})
        return found

    def schedules(self, full_name: str) -> dict[str, Data]:
        """The schedules of a deployment by slug."""
        return {schedule["slug"]: schedule for schedule in self.the_deployment(full_name)["schedules"]}

    def pool(self, name: str) -> Data | None:
        """A work pool."""
        found: Data | None = self.call("GET", f"/work_pools/{name}")
        return found

    def queues(self, pool: str) -> list[Data]:
        """The queues of a work pool in order of priority."""
        found: list[Data] = self.call("POST", f"/work_pools/{pool}/queues/filter", {})
        return sorted(found, key=lambda queue: int(queue["priority"]))

    def order(self, pool: str) -> list[tuple[str, int]]:
        """Names and priorities of the queues of a work pool in order of priority."""
        return [(queue["name"], queue["priority"]) for queue in self.queues(pool)]

    def run(self, id_: str) -> Data | None:
        """A flow run."""
        found: Data | None = self.call("GET", f"/flow_runs/{id_}")
        return found

    def runs(self, deployment_id: str) -> list[Data]:
        """All flow runs of a deployment, the earliest first."""
        body = {"flow_runs": {"deployment_id": {"any_": [deployment_id]}}, "sort": "EXPECTED_START_TIME_ASC"}
        found: list[Data] = self.call("POST", "/flow_runs/filter", body)
        return found

    def runs_of_key(self, key: str) -> list[Data]:
        """All flow runs with an idempotency key."""
        body = {"flow_runs": {"idempotency_key": {"any_": [key]}}}
        found: list[Data] = self.call("POST", "/flow_runs/filter", body)
        return found

    def scheduled(self, deployment_id: str) -> list[Data]:
        """The runs that Prefect's scheduler made of a deployment's schedules."""
        return [run for run in self.runs(deployment_id) if run["auto_scheduled"]]

    def create_run(self, deployment_id: str, **body: Any) -> str:
        """Start a deployment as a person does in the UI; the run's id."""
        return str(self.call("POST", f"/deployments/{deployment_id}/create_flow_run", body)["id"])

    def set_state(
        self,
        run_id: str,
        type_: str,
        *,
        message: str | None = None,
        data: Data | None = None,
        at: datetime | None = None,
    ) -> None:
        """Put a run into a state, as the agent that carries it out does."""
        state: Data = {"type": type_, "name": type_.capitalize(), "message": message, "data": data}
        if at is not None:
            state["timestamp"] = at.isoformat()
        answer = self.call("POST", f"/flow_runs/{run_id}/set_state", {"state": state})
        assert answer["status"] == "ACCEPT", answer

    def carry_out(self, run_id: str, end: str = "COMPLETED", **ending: Any) -> None:
        """Drive a run from its beginning to an end."""
        self.set_state(run_id, "PENDING")
        self.set_state(run_id, "RUNNING")
        self.set_state(run_id, end, **ending)
