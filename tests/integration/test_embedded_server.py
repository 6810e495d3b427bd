"""The embedded Prefect server beside those of other labs."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from labkeeper.embedded import server as embedded
from labkeeper.embedded.server import EmbeddedServer
from tests.support.ports import free_ports


async def test_the_server_of_another_lab_is_not_taken_for_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (taken,) = free_ports(1)
    monkeypatch.setattr(embedded, "USUAL_PORT", taken)
    # The port is free when it is looked for, and another lab's server has it by the time it is used.
    ours = EmbeddedServer(tmp_path / "ours")
    assert ours.port == taken
    other = EmbeddedServer(tmp_path / "other", taken)
    await other.start()
    try:
        await ours.start()
        assert ours.port != taken
        async with httpx.AsyncClient(trust_env=False) as client:
            settings = (await client.get(f"{ours.api_url}/admin/settings")).json()
        assert settings["home"] == str(tmp_path / "ours" / "prefect")
    finally:
        await ours.stop()
        await other.stop()
