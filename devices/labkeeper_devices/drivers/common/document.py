"""One YAML document of a driver's settings: each with its line, and everything that is wrong with the document.

Not for ranges and meaning: those are the driver's own model's; nor for several documents: that is `loading`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import yaml

from labkeeper_api.errors import Problem
from labkeeper_api.suggestions import did_you_mean

MERGE_TAG: Final = "tag:yaml.org,2002:merge"


@dataclass(frozen=True)
class Outline:
    """What a document may hold: its section, the keys in it, and sections of others that are passed over."""

    section: str
    keys: tuple[str, ...]
    ignored: frozenset[str] = frozenset()


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

    def __init__(self, source: Source, outline: Outline, problems: list[Problem]) -> None:
        self._source = source
        self._outline = outline
        self._problems = problems
        self._loader = yaml.SafeLoader("")

    def settings(self) -> dict[str, Setting]:
        """The settings in the section."""
        wanted = self._outline.section
        root = self._compose()
        if root is None:
            return {}
        sections = self._entries(root, "")
        for name, (key_node, _) in sections.items():
            if name != wanted and name not in self._outline.ignored:
                self._say(key_node, name, "is no section", self._section_hint(name))
        if wanted not in sections:
            self._say(root, wanted, "the section is missing", f"write the settings below `{wanted}:`")
            return {}
        key_node, section = sections[wanted]
        if not isinstance(section, yaml.MappingNode):
            self._say(key_node, wanted, "must hold settings, each as `key: value`")
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
                Problem(
                    "", "is empty", f"write the settings below `{self._outline.section}:`", source=self._source.name
                )
            )
            return None
        if not isinstance(root, yaml.MappingNode):
            self._say(root, "", "must be a mapping", f"write the settings below `{self._outline.section}:`")
            return None
        return root

    def _settings(self, section: yaml.MappingNode) -> dict[str, Setting]:
        settings = {}
        for key, (key_node, value_node) in self._entries(section, self._outline.section).items():
            path = f"{self._outline.section}.{key}"
            if key not in self._outline.keys:
                self._say(key_node, path, "is no setting", did_you_mean(key, self._outline.keys))
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
        if name in self._outline.keys:
            return f"put it below `{self._outline.section}:`"
        return did_you_mean(name, (self._outline.section, *sorted(self._outline.ignored)))

    def _say(self, node: yaml.Node, path: str, message: str, hint: str = "") -> None:
        self._problems.append(Problem(path, message, hint, node.start_mark.line + 1, self._source.name))
