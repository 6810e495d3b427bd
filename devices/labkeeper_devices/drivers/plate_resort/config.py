"""Puts the configuration of a plate hotel together from its files and says everything that is wrong at once.

Several documents are layered: a later one wins key by key. Not for what the keys mean: that is `settings`; nor for
YAML: that is `document`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.suggestions import did_you_mean
from labkeeper_devices.drivers.plate_resort.document import SECTION, Document, Setting, Source
from labkeeper_devices.drivers.plate_resort.sdk import comports
from labkeeper_devices.drivers.plate_resort.settings import (
    NULLABLE_KEYS,
    PRECISE_KEYS,
    CrossFieldError,
    ResortConfig,
)

PLAINER: Final = {
    "Input should be": "must be",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "above",
    "less than": "below",
}
"""pydantic's words and ours."""


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration and where each of its keys was given; keys that are not here have their default."""

    config: ResortConfig
    settings: Mapping[str, Setting] = field(default_factory=dict)

    def problem(self, key: str, message: str, hint: str = "") -> Problem:
        """Something wrong with a key, found after loading."""
        setting = self.settings.get(key) or Setting(None, f"{SECTION}.{key}")
        return setting.problem(message, hint)


def load_files(paths: Iterable[Path | str], given: Mapping[str, Setting] | None = None) -> LoadedConfig:
    """Read files, later ones winning, and then `given`. Raises `InvalidInput` with everything that is wrong."""
    sources: list[Source] = []
    problems: list[Problem] = []
    for path in map(Path, paths):
        try:
            sources.append(Source(path.read_text(encoding="utf-8"), str(path)))
        except OSError as error:
            problems.append(Problem("", f"cannot be read: {error.strerror}", source=str(path)))
        except UnicodeDecodeError as error:
            problems.append(Problem("", f"is not UTF-8 text: byte {error.start} is wrong", source=str(path)))
    return load(sources, given, problems)


def load(
    sources: Sequence[Source], given: Mapping[str, Setting] | None = None, found: Sequence[Problem] = ()
) -> LoadedConfig:
    """Put documents together, later ones winning, and then `given`.

    `found` are problems that are known already. Raises `InvalidInput` with these and everything else that is wrong.
    """
    problems = list(found)
    settings: dict[str, Setting] = {}
    for source in sources:
        settings.update(Document(source, problems).settings())
    settings.update(given or {})
    config, wrong = _validate(settings)
    problems += wrong
    if config is None or problems:
        raise InvalidInput(sorted(problems))
    return LoadedConfig(config, settings)


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
    changed, wrong = _validate({**kept, **settings})
    problems += wrong
    if changed is None or problems:
        raise InvalidInput(problems)
    return changed


def port_problems(loaded: LoadedConfig) -> list[Problem]:
    """What is wrong with the serial port on this machine, with the ports that there are. Not for simulated units."""
    device = Path(loaded.config.device)
    known = sorted(port.device for port in comports())
    hint = f"serial ports here: {', '.join(known)}" if known else "there is no serial port on this machine"
    try:
        mode = device.stat().st_mode
    except FileNotFoundError:
        return [loaded.problem("device", f"there is no {device} on this machine", hint)]
    except OSError as error:
        return [loaded.problem("device", f"{device} cannot be looked at: {error.strerror}", hint)]
    if not stat.S_ISCHR(mode):
        return [loaded.problem("device", f"{device} is no serial port", hint)]
    if not os.access(device, os.R_OK | os.W_OK):
        group = "the group that owns it, usually dialout"
        return [loaded.problem("device", f"this user may not open {device}", f"add the user to {group}")]
    return []


def _validate(settings: Mapping[str, Setting]) -> tuple[ResortConfig | None, list[Problem]]:
    """The configuration, or None and everything that is wrong, contradictions between right values included."""
    problems = [
        setting.problem("null is not possible", f"leave the key out for its default, {_default(key)}")
        for key, setting in settings.items()
        if setting.value is None and key not in NULLABLE_KEYS
    ]
    values = {key: s.value for key, s in settings.items() if s.value is not None or key in NULLABLE_KEYS}
    try:
        return ResortConfig(**values), problems
    except ValidationError as error:
        wrong = _problems_of(error, settings)
        bad = {str(item["loc"][0]) for item in error.errors() if item["loc"]}
    if bad:
        # The values that are right may still contradict each other; that is to be said in the same breath.
        wrong += _validate({key: setting for key, setting in settings.items() if key not in bad and key in values})[1]
    return None, [*problems, *wrong]


def _problems_of(error: ValidationError, settings: Mapping[str, Setting]) -> list[Problem]:
    found: list[Problem] = []
    for item in error.errors(include_url=False):
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, CrossFieldError):
            for keys, text in cause.found:
                # Said where a value was given; the other one may be a default.
                at = next((key for key in keys if key in settings), keys[0])
                found.append(_setting(settings, at).problem(text))
            continue
        key, *rest = item["loc"]
        index = rest[0] if rest and isinstance(rest[0], int) else None
        message = f"{item['input']!r}: {_message(item)}"
        found.append(_setting(settings, str(key)).problem(message, _hint(str(key), item), index=index))
    return found


def _setting(settings: Mapping[str, Setting], key: str) -> Setting:
    return settings.get(key) or Setting(None, f"{SECTION}.{key}")


def _message(item: Mapping[str, Any]) -> str:
    if item["type"] in ("too_short", "string_too_short"):
        return "must not be empty"
    plain = str(item["msg"]).removeprefix("Value error, ")
    for theirs, ours in PLAINER.items():
        plain = plain.replace(theirs, ours)
    return plain[:1].lower() + plain[1:]


def _hint(key: str, item: Mapping[str, Any]) -> str:
    if item["type"] == "string_type" and isinstance(item["input"], int | float):
        return f'write it in quotes: "{item["input"]}"'
    return " ".join((ResortConfig.model_fields[key].description or "").split()).rstrip(".")


def _default(key: str) -> Any:
    return ResortConfig.model_fields[key].default
