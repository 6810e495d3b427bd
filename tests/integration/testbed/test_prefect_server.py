"""The Prefect server is the real one, can be away and come back, and knows nothing of whoever runs the tests."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.prefect_server import LEASES_ON_DISK, PrefectServer
from tests.support.processes import ProcessFailedError

if TYPE_CHECKING:
    from pathlib import Path


def ask(server: PrefectServer, method: str, path: str, body: object = None, timeout: float = 30.0) -> Any:
    """One request to the API, on a connection of its own; the answer must be a good one.

    503 is asked again: with SQLite that is how the server says that another of its tasks is writing.
    """
    for _ in range(20):
        with httpx.Client(timeout=timeout, trust_env=False) as client:
            response = client.request(method, f"{server.api_url}{path}", json=body)
        if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        time.sleep(0.2)
    response.raise_for_status()
    return response.json() if response.content else None


def deploy(server: PrefectServer, name: str) -> str:
    """Make a flow and a deployment of it; the id of the deployment."""
    flow = ask(server, "POST", "/flows/", {"name": f"flow of {name}"})
    return str(ask(server, "POST", "/deployments/", {"name": name, "flow_id": flow["id"]})["id"])


def test_it_is_the_locked_version_with_the_settings_of_a_lab(prefect_server: PrefectServer) -> None:
    assert ask(prefect_server, "GET", "/admin/version") == version("prefect")
    settings = ask(prefect_server, "GET", "/admin/settings")
    assert settings["home"] == str(prefect_server.home)
    assert settings["server"]["concurrency"]["lease_storage"] == LEASES_ON_DISK
    assert settings["server"]["analytics_enabled"] is False
    assert settings["server"]["ui"]["enabled"] is False
    assert settings["server"]["services"]["scheduler"]["enabled"] is True


async def test_it_serves_tests_with_an_event_loop(prefect_server: PrefectServer) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        answers = await asyncio.gather(*(client.get(f"{prefect_server.api_url}/health") for _ in range(5)))
    assert [answer.json() for answer in answers] == [True] * 5


def test_a_client_program_uses_it_from_a_home_of_its_own(prefect_server: PrefectServer, tmp_path: Path) -> None:
    ask(prefect_server, "POST", "/work_pools/", {"name": "bench-of-the-testbed", "type": "process"})
    listed = subprocess.run(
        [sys.executable, "-m", "prefect", "work-pool", "inspect", "bench-of-the-testbed", "--output=json"],
        env=prefect_server.client_environment(tmp_path / "home"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"bench-of-the-testbed"' in listed.stdout


def test_it_is_away_for_a_while_and_keeps_url_and_deployments(fresh_prefect: PrefectServer) -> None:
    url, deployment = fresh_prefect.url, deploy(fresh_prefect, "titration")
    fresh_prefect.stop()
    assert not fresh_prefect.running
    with pytest.raises(httpx.ConnectError):
        ask(fresh_prefect, "GET", "/health")
    fresh_prefect.start()
    assert fresh_prefect.url == url
    assert ask(fresh_prefect, "GET", f"/deployments/{deployment}")["name"] == "titration"


async def test_it_can_be_restarted_off_the_event_loop(fresh_prefect: PrefectServer) -> None:
    await asyncio.to_thread(fresh_prefect.restart)
    await asyncio.get_running_loop().shutdown_default_executor()  # the thread that started it ends
    assert fresh_prefect.running
    assert ask(fresh_prefect, "GET", "/health") is True


def test_deployments_and_leases_survive_a_kill(fresh_prefect: PrefectServer) -> None:
    deployment = deploy(fresh_prefect, "titration")
    ask(fresh_prefect, "POST", "/v2/concurrency_limits/", {"name": "arm", "limit": 1, "active": True})
    request = {"slots": 1, "names": ["arm"], "mode": "concurrency", "lease_duration": 300}
    lease = ask(fresh_prefect, "POST", "/v2/concurrency_limits/increment-with-lease", request)["lease_id"]
    fresh_prefect.kill()
    fresh_prefect.start()
    assert ask(fresh_prefect, "GET", f"/deployments/{deployment}")["name"] == "titration"
    ask(fresh_prefect, "POST", f"/v2/concurrency_limits/leases/{lease}/renew", {"lease_duration": 300})
    assert ask(fresh_prefect, "GET", "/v2/concurrency_limits/arm")["active_slots"] == 1


def test_frozen_it_hangs_and_thawed_it_goes_on(fresh_prefect: PrefectServer) -> None:
    fresh_prefect.freeze()
    assert fresh_prefect.running
    with pytest.raises(httpx.ReadTimeout):
        ask(fresh_prefect, "GET", "/health", timeout=1.0)
    fresh_prefect.thaw()
    assert ask(fresh_prefect, "GET", "/health") is True
    fresh_prefect.freeze()
    fresh_prefect.stop()
    assert not fresh_prefect.running


def test_from_nothing_and_with_the_ui(tmp_path: Path) -> None:
    with PrefectServer(tmp_path, ui=True, new_database=True) as server:
        page = httpx.get(server.url, follow_redirects=True, trust_env=False)
        assert page.headers["content-type"].startswith("text/html")
        assert ask(server, "POST", "/deployments/count", {}) == 0


def test_a_failed_start_shows_the_log(tmp_path: Path) -> None:
    server = PrefectServer(tmp_path, settings={"PREFECT_SERVER_DATABASE_CONNECTION_URL": "nonsense"})
    with pytest.raises(
        ProcessFailedError, match=r"prefect server ended by itself(.|\n)*Could not parse SQLAlchemy URL"
    ):
        server.start()
    assert not server.running
