"""The objects of the lab as last seen, with the cross references that decisions need. No I/O.

Fed by watch events and by the answers to our own writes; an older version never replaces a newer one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from labkeeper_api.conditions import ConditionType, is_true
from labkeeper_api.kinds import BY_KIND, LabObject
from labkeeper_api.manifests import validation_problems
from labkeeper_api.meta import ObjectMeta

GONE_REMEMBERED = 10_000
"""Objects that are gone whose uids are remembered."""

K = TypeVar("K", bound=LabObject)


@dataclass(frozen=True, order=True)
class Key:
    """Which object: kind, namespace, name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @classmethod
    def of(cls, raw: dict[str, Any]) -> Key:
        """The key of an object as the API server sends it."""
        metadata = raw.get("metadata", {})
        return cls(raw["kind"], metadata.get("namespace", "default"), metadata["name"])


@dataclass(frozen=True)
class Entry:
    """One object as last seen. While its spec cannot be read, `problems` says why and `obj` has what can be read."""

    key: Key
    obj: LabObject
    problems: tuple[str, ...] = ()

    @property
    def uid(self) -> str:
        """The object's uid."""
        return self.obj.metadata.uid

    @property
    def asked(self) -> tuple[str, int, bool]:
        """What people change of it: which one it is, its spec, and whether it shall go."""
        metadata = self.obj.metadata
        return metadata.uid, metadata.generation, metadata.deleting

    @property
    def offered(self) -> tuple[int, bool, str | None]:
        """What others depend on: its spec, whether it is ready, and what stands for it in Prefect."""
        status = getattr(self.obj, "status", None)
        ready = is_true(getattr(status, "conditions", []), ConditionType.READY)
        in_prefect = getattr(status, "deployment_id", None) or getattr(status, "pool_id", None)
        return self.obj.metadata.generation, ready, in_prefect


class Objects:
    """All objects by key."""

    def __init__(self) -> None:
        self._entries: dict[Key, Entry] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()

    def put(self, raw: dict[str, Any]) -> Entry | None:
        """Keep a version of an object; None when a newer or the same one is kept already, or when it is gone.

        The answer to our own last write can come after the news that the object is gone: it must not come back.
        """
        metadata = ObjectMeta.model_validate(raw.get("metadata", {}))
        key = Key(raw["kind"], metadata.namespace, metadata.name)
        if metadata.uid in self._gone:
            return None
        old = self._entries.get(key)
        if old is not None and not _newer(metadata, old.obj.metadata):
            return None
        entry = _parsed(key, raw, metadata)
        self._entries[key] = entry
        return entry

    def remove(self, key: Key, uid: str = "") -> None:
        """Forget an object that is gone."""
        entry = self._entries.get(key)
        if entry is not None and uid in ("", entry.uid):
            del self._entries[key]
        if uid:
            self._gone[uid] = None
            while len(self._gone) > GONE_REMEMBERED:
                self._gone.popitem(last=False)

    def entry(self, key: Key) -> Entry | None:
        """The object of that key as last seen."""
        return self._entries.get(key)

    def get(self, kind: type[K], namespace: str, name: str) -> K | None:
        """The object, if it is there and can be read."""
        entry = self._entries.get(Key(kind.kind_name(), namespace, name))
        if entry is None or entry.problems or not isinstance(entry.obj, kind):
            return None
        return entry.obj

    def entries(self, kind: type[LabObject]) -> list[Entry]:
        """All objects of a kind, readable or not."""
        wanted = kind.kind_name()
        return [entry for key, entry in self._entries.items() if key.kind == wanted]

    def all(self, kind: type[K]) -> Iterator[K]:
        """All readable objects of a kind."""
        for entry in list(self._entries.values()):
            if isinstance(entry.obj, kind) and not entry.problems:
                yield entry.obj

    def names(self, kind: type[LabObject], namespace: str) -> tuple[str, ...]:
        """Names of all objects of a kind in a namespace."""
        wanted = kind.kind_name()
        return tuple(sorted(k.name for k in self._entries if (k.kind, k.namespace) == (wanted, namespace)))


def _newer(new: ObjectMeta, old: ObjectMeta) -> bool:
    """Resource versions of one kind grow as integers, which Kubernetes promises since 1.35 and always did."""
    try:
        return int(new.resource_version) > int(old.resource_version)
    except ValueError:
        return new.resource_version != old.resource_version


def _parsed(key: Key, raw: dict[str, Any], metadata: ObjectMeta) -> Entry:
    model = BY_KIND[key.kind]
    try:
        return Entry(key, model.model_validate(raw))
    except ValidationError as error:
        problems = tuple(str(problem) for problem in validation_problems(error, model=model))
    status = _status(model, raw.get("status"))
    values: dict[str, Any] = {"kind": key.kind, "metadata": metadata, "status": status}
    values["spec"] = _readable_part(model.model_fields["spec"].annotation, raw.get("spec"))
    return Entry(key, model.model_construct(**values), problems)


def _readable_part(model: Any, raw: Any) -> BaseModel:
    """A spec with the fields that can be read: enough to take away what the object stands for in Prefect."""
    given = raw if isinstance(raw, dict) else {}
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if field.alias in given:
            with suppress(ValidationError):
                values[name] = TypeAdapter(field.annotation).validate_python(given[field.alias])
    spec: BaseModel = model.model_construct(**values)
    return spec


def _status(model: type[LabObject], raw: Any) -> Any:
    try:
        return model.status_model.model_validate(raw or {})
    except ValidationError:
        return model.status_model()
