"""One YAML document of a plate hotel: the settings in it, each with its line, and everything that is wrong with it.

The sections `prefect` and `server` of the guide's files are allowed and ignored: a LabWorkflow and a LabPool say those
things here. Not for ranges and meaning: that is `settings`; nor for several documents: that is `config`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import yaml

from labkeeper_api.errors import Problem
from labkeeper_api.suggestions import did_you_mean
from labkeeper_devices.drivers.plate_resort.settings import ResortConfig

SECTION: Final = "resort"
IGNORED_SECTIONS: Final = frozenset({"prefect", "server"})
KEYS: Final = tuple(ResortConfig.model_fields)
MERGE_TAG: Final = "tag:yaml.org,2002:merge"


@dataclass(frozen=True)
class Source:
    """One document: its text and what to call it in messages, normally its path."""

    text: str
    name: str


@dataclass(frozen=True)
class Setting:
    """A value that was given for a key, and where. `items` are the lines of the elements of a list."""

    value: Any
    path: str
    source: str = ""
    line: int | None = None
    items: tuple[int, ...] = ()

    def problem(self, message: str, hint: str = "", *, index: int | None = None) -> Problem:
        """Something wrong with it, or with one of its elements."""
        if index is None:
            return Problem(self.path, message, hint, self.line, self.source)
        line = self.items[index] if index < len(self.items) else self.line
        return Problem(f"{self.path}[{index}]", message, hint, line, self.source)


class Document:
    """One YAML document; what is wrong with it goes to the list that is handed in."""

    def __init__(self, source: Source, problems: list[Problem]) -> None:
        self._source = source
        self._problems = problems
        self._loader = yaml.SafeLoader("")

    def settings(self) -> dict[str, Setting]:
        """The settings in the section `resort`."""
        root = self._compose()
        if root is None:
            return {}
        sections = self._entries(root, "")
        for name, (key_node, _) in sections.items():
            if name != SECTION and name not in IGNORED_SECTIONS:
                self._say(key_node, name, "is no section", self._section_hint(name))
        if SECTION not in sections:
            self._say(root, SECTION, "the section is missing", f"write the settings below `{SECTION}:`")
            return {}
        key_node, section = sections[SECTION]
        if not isinstance(section, yaml.MappingNode):
            self._say(key_node, SECTION, "must hold settings, each as `key: value`")
            return {}
        return self._settings(section)

    def _compose(self) -> yaml.MappingNode | None:
        try:
            self._loader = yaml.SafeLoader(self._source.text)
            root = self._loader.get_single_node()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            text = ", ".join(part for part in (error.context, error.problem) if part)
            self._problems.append(
                Problem("", f"is no YAML: {text}", line=mark.line + 1 if mark else None, source=self._source.name)
            )
            return None
        except yaml.YAMLError as error:
            text = " ".join(str(error).split())
            self._problems.append(Problem("", f"is no YAML: {text}", source=self._source.name))
            return None
        if root is None:
            self._problems.append(
                Problem("", "is empty", f"write the settings below `{SECTION}:`", source=self._source.name)
            )
            return None
        if not isinstance(root, yaml.MappingNode):
            self._say(root, "", "must be a mapping", f"write the settings below `{SECTION}:`")
            return None
        return root

    def _settings(self, section: yaml.MappingNode) -> dict[str, Setting]:
        settings = {}
        for key, (key_node, value_node) in self._entries(section, SECTION).items():
            path = f"{SECTION}.{key}"
            if key not in KEYS:
                self._say(key_node, path, "is no setting", did_you_mean(key, KEYS))
                continue
            try:
                value = self._loader.construct_object(value_node, deep=True)
            except (yaml.MarkedYAMLError, ValueError) as error:
                problem = getattr(error, "problem", None) or error
                self._say(value_node, path, f"cannot be understood: {problem}")
                continue
            elements = value_node.value if isinstance(value_node, yaml.SequenceNode) else []
            lines = tuple(element.start_mark.line + 1 for element in elements)
            settings[key] = Setting(value, path, self._source.name, key_node.start_mark.line + 1, lines)
        return settings

    def _entries(self, mapping: yaml.MappingNode, path: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        entries: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key_node, value_node in mapping.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == MERGE_TAG:
                self._say(key_node, path, "only plain keys are possible here", "write each setting out")
                continue
            key = str(key_node.value)
            if key in entries:
                first = entries[key][0].start_mark.line + 1
                self._say(key_node, f"{path}.{key}".lstrip("."), f"stands twice, first in line {first}")
                continue
            entries[key] = (key_node, value_node)
        return entries

    def _section_hint(self, name: str) -> str:
        if name in KEYS:
            return f"put it below `{SECTION}:`"
        return did_you_mean(name, (SECTION, *sorted(IGNORED_SECTIONS)))

    def _say(self, node: yaml.Node, path: str, message: str, hint: str = "") -> None:
        self._problems.append(Problem(path, message, hint, node.start_mark.line + 1, self._source.name))
