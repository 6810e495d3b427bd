"""Settings of the operator, from environment variables. What Prefect itself reads (PREFECT_API_URL) stays Prefect's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class OperatorSettings(BaseSettings):
    """Environment variables with the prefix `LABKEEPER_`."""

    model_config = SettingsConfigDict(env_prefix="LABKEEPER_", use_attribute_docstrings=True, extra="ignore")

    namespaces: Annotated[tuple[str, ...], NoDecode] = ()
    """Namespaces to serve, separated by commas; all of the cluster when empty."""
    catalog: Path | None = None
    """File of the flow catalog; the one of this release when not given."""
    prefect_writers: Annotated[int, Field(ge=1, le=32)] = 1
    """Writes to Prefect at once: 1 for a server on SQLite, up to 10 for one on PostgreSQL."""
    prefect_ui_url: str | None = None
    """Where people open the Prefect UI; the API's address without `/api` when not given."""
    poll_seconds: Annotated[float, Field(gt=0)] = 10.0
    """Seconds between looks at all active runs, which is the fallback for Prefect's event stream."""
    resync_seconds: Annotated[float, Field(gt=0)] = 60.0
    """Seconds between looks at all deployments and pools, to put right what was changed by hand."""

    @field_validator("namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
