"""Puts a driver's configuration together from its documents and says everything that is wrong at once.

Several documents are layered: a later one wins key by key. Not for what the keys mean: that is the driver's own model;
nor for YAML: that is `document`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.kinds.labdevice import LabDeviceSpec
from labkeeper_devices.drivers.common.document import Document, Outline, Setting, Source

Model = TypeVar("Model", bound=BaseModel)

PLAINER: Final = {
    "Input should be": "must be",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "above",
    "less than": "below",
}
"""pydantic's words and ours."""


class CrossFieldError(ValueError):
    """Values that are right and do not go together; `found` holds the keys and the sentence of each."""

    def __init__(self, found: list[tuple[tuple[str, ...], str]]) -> None:
        self.found = found
        super().__init__("; ".join(message for _, message in found))


class Settings(BaseModel):
    """Base of a driver's configuration. Immutable; unknown keys, NaN and wrong types are refused."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


@dataclass(frozen=True)
class LoadedConfig(Generic[Model]):
    """A configuration and where each of its keys was given; keys that are not here have their default."""

    config: Model
    settings: Mapping[str, Setting] = field(default_factory=dict)
    section: str = ""

    def problem(self, key: str, message: str, hint: str = "") -> Problem:
        """Something wrong with a key, found after loading."""
        setting = self.settings.get(key) or Setting(None, f"{self.section}.{key}".lstrip("."))
        return setting.problem(message, hint)


class Form(Generic[Model]):
    """The form of one driver's configuration: its model, its section, the keys that may be null."""

    def __init__(
        self,
        model: type[Model],
        section: str,
        *,
        ignored: frozenset[str] = frozenset(),
        nullable: frozenset[str] = frozenset(),
    ) -> None:
        self._model = model
        self._nullable = nullable
        self.section = section
        self.outline = Outline(section, tuple(model.model_fields), ignored)

    def of_device(
        self, spec: LabDeviceSpec, base_dir: Path, given: Mapping[str, Setting] | None = None
    ) -> LoadedConfig[Model]:
        """The configuration of a LabDevice: defaults, then its files or inline text, then `given`.

        Relative paths are relative to `base_dir`. Raises `InvalidInput` with everything that is wrong.
        """
        if spec.config is None:
            return self.load((), given)
        if spec.config.inline is not None:
            return self.load((Source(spec.config.inline, "spec.config.inline"),), given)
        return self.load_files((base_dir / name for name in spec.config.files or ()), given)

    def load_files(
        self, paths: Iterable[Path | str], given: Mapping[str, Setting] | None = None
    ) -> LoadedConfig[Model]:
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
        return self.load(sources, given, problems)

    def load(
        self,
        sources: Sequence[Source],
        given: Mapping[str, Setting] | None = None,
        found: Sequence[Problem] = (),
    ) -> LoadedConfig[Model]:
        """Put documents together, later ones winning, and then `given`.

        `found` are problems that are known already. Raises `InvalidInput` with these and everything else that is wrong.
        """
        problems = list(found)
        settings: dict[str, Setting] = {}
        for source in sources:
            settings.update(Document(source, self.outline, problems).settings())
        settings.update(given or {})
        config, wrong = self.validate(settings)
        problems += wrong
        if config is None or problems:
            raise InvalidInput(sorted(problems))
        return LoadedConfig(config, settings, self.section)

    def validate(self, settings: Mapping[str, Setting]) -> tuple[Model | None, list[Problem]]:
        """The configuration, or None and everything that is wrong, contradictions between right values included."""
        problems = [
            setting.problem("null is not possible", f"leave the key out for its default, {self._default(key)}")
            for key, setting in settings.items()
            if setting.value is None and key not in self._nullable
        ]
        values = {key: s.value for key, s in settings.items() if s.value is not None or key in self._nullable}
        try:
            return self._model(**values), problems
        except ValidationError as error:
            wrong = self._problems_of(error, settings)
            bad = {str(item["loc"][0]) for item in error.errors() if item["loc"]}
        if bad:
            # The values that are right may still contradict each other; that is to be said in the same breath.
            wrong += self.validate(
                {key: setting for key, setting in settings.items() if key not in bad and key in values}
            )[1]
        return None, [*problems, *wrong]

    def _problems_of(self, error: ValidationError, settings: Mapping[str, Setting]) -> list[Problem]:
        found: list[Problem] = []
        for item in error.errors(include_url=False):
            cause = item.get("ctx", {}).get("error")
            if isinstance(cause, CrossFieldError):
                for keys, text in cause.found:
                    # Said where a value was given; the other one may be a default.
                    at = next((key for key in keys if key in settings), keys[0])
                    found.append(self._setting(settings, at).problem(text))
                continue
            key, *rest = item["loc"]
            index = rest[0] if rest and isinstance(rest[0], int) else None
            message = f"{item['input']!r}: {_message(item)}"
            found.append(self._setting(settings, str(key)).problem(message, self._hint(str(key), item), index=index))
        return found

    def _setting(self, settings: Mapping[str, Setting], key: str) -> Setting:
        return settings.get(key) or Setting(None, f"{self.section}.{key}")

    def _hint(self, key: str, item: Mapping[str, Any]) -> str:
        if item["type"] == "string_type" and isinstance(item["input"], int | float):
            return f'write it in quotes: "{item["input"]}"'
        return " ".join((self._model.model_fields[key].description or "").split()).rstrip(".")

    def _default(self, key: str) -> Any:
        return self._model.model_fields[key].default


def _message(item: Mapping[str, Any]) -> str:
    if item["type"] in ("too_short", "string_too_short"):
        return "must not be empty"
    plain = str(item["msg"]).removeprefix("Value error, ")
    for theirs, ours in PLAINER.items():
        plain = plain.replace(theirs, ours)
    return plain[:1].lower() + plain[1:]
