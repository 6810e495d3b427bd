"""Settings of the operator from environment variables."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from labkeeper_operator.settings import OperatorSettings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OperatorSettings.model_fields:
        monkeypatch.delenv(f"LABKEEPER_{name.upper()}", raising=False)


@pytest.mark.parametrize(
    ("text", "namespaces"),
    [("", ()), ("lab-1", ("lab-1",)), (" lab-1, lab-2 ,", ("lab-1", "lab-2"))],
)
def test_namespaces_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, text: str, namespaces: tuple[str, ...]
) -> None:
    monkeypatch.setenv("LABKEEPER_NAMESPACES", text)
    assert OperatorSettings().namespaces == namespaces


def test_without_settings_the_whole_cluster_is_served_with_one_writer() -> None:
    """SQLite, which is the default, fails several writers at once."""
    settings = OperatorSettings()
    assert (settings.namespaces, settings.prefect_writers) == ((), 1)


@pytest.mark.parametrize(("name", "value"), [("PREFECT_WRITERS", "0"), ("POLL_SECONDS", "0"), ("RESYNC_SECONDS", "-1")])
def test_a_setting_out_of_bounds_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"LABKEEPER_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        OperatorSettings()
