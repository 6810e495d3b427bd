"""The configuration of a plate hotel: its form, settings that are changed for one move, and its port on this machine.

The sections `prefect` and `server` of the guide's files are allowed and ignored: a LabWorkflow and a LabPool say those
things here. Not for what the keys mean: that is `settings`; nor for putting documents together: that is
`common.loading`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.suggestions import did_you_mean
from labkeeper_devices.drivers.common import loading
from labkeeper_devices.drivers.common.document import Setting
from labkeeper_devices.drivers.common.trouble import not_here
from labkeeper_devices.drivers.plate_resort.settings import NULLABLE_KEYS, PRECISE_KEYS, ResortConfig

SECTION: Final = "resort"
FORM: Final = loading.Form(
    ResortConfig, SECTION, ignored=frozenset({"prefect", "server"}), nullable=frozenset(NULLABLE_KEYS)
)
LoadedConfig = loading.LoadedConfig[ResortConfig]
load, load_files = FORM.load, FORM.load_files


def with_overrides(
    config: ResortConfig,
    overrides: Mapping[str, Any],
    path: str = "overrides",
    allowed: Sequence[str] = PRECISE_KEYS,
) -> ResortConfig:
    """The configuration with some settings changed, normally those of the precise move.

    Raises `InvalidInput` with everything that is wrong; `path` is what the settings are called in it.
    """
    problems = [
        Problem(f"{path}.{key}", "cannot be set here", did_you_mean(str(key), allowed))
        for key in overrides
        if key not in allowed
    ]
    settings = {key: Setting(value, f"{path}.{key}") for key, value in overrides.items() if key in allowed}
    kept = {key: Setting(getattr(config, key), f"{SECTION}.{key}") for key in config.model_fields_set}
    changed, wrong = FORM.validate({**kept, **settings})
    problems += wrong
    if changed is None or problems:
        raise InvalidInput(problems)
    return changed


def port_problems(loaded: LoadedConfig) -> list[Problem]:
    """What is wrong with the serial port on this machine, with the ports that there are. Not for simulated units."""
    wrong = not_here(loaded.config.device)
    return [loaded.problem("device", *wrong)] if wrong else []
