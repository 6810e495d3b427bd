"""The embedded lab's store behaves towards the controller as an API server does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labkeeper.embedded.store import ObjectStore
from labkeeper_api.kinds import LabObject, LabPool
from labkeeper_api.meta import FINALIZER
from labkeeper_operator.objects import Key, Objects
from tests.unit import builders as b

KEY = Key("LabPool", "default", "plates")


def pool(**spec: Any) -> LabPool:
    """The pool as a manifest gives it: nothing but its name and spec."""
    return LabPool.model_validate(b.manifest("LabPool", "plates", {"type": "device", **spec}))


class Bench:
    """A store in memory or on a file, and what it told its listener."""

    def __init__(self, path: Path | None = None) -> None:
        self.store = ObjectStore(path)
        self.changed: list[dict[str, Any]] = []
        self.gone: list[dict[str, Any]] = []
        self.store.on_change = self.changed.append
        self.store.on_delete = self.gone.append

    @property
    def raw(self) -> dict[str, Any]:
        """The pool as it is kept."""
        found = self.store.get("LabPool", "default", "plates")
        assert found is not None
        return found

    @property
    def obj(self) -> LabObject:
        """The pool as the controller sees it."""
        return LabPool.model_validate(self.raw)

    @property
    def meta(self) -> dict[str, Any]:
        """Metadata of the pool."""
        meta: dict[str, Any] = self.raw["metadata"]
        return meta

    @property
    def version(self) -> int:
        """Version of the pool."""
        return int(self.meta["resourceVersion"])


@pytest.fixture
def bench() -> Bench:
    """A store that holds the pool."""
    bench = Bench()
    bench.store.apply(pool())
    return bench


def test_a_new_object_gets_what_an_api_server_gives_it(bench: Bench) -> None:
    assert bench.meta["uid"]
    assert bench.meta["creationTimestamp"].endswith("+00:00")
    assert bench.meta["generation"] == 1
    assert bench.raw["kind"] == "LabPool"
    assert bench.raw["apiVersion"] == "labkeeper.dev/v1alpha1"


def test_a_new_object_is_told_to_the_listener(bench: Bench) -> None:
    assert bench.changed == [bench.raw]


def test_two_objects_have_two_uids(bench: Bench) -> None:
    bench.store.apply(b.a_pool("other"))
    assert len({raw["metadata"]["uid"] for raw in bench.store.all()}) == 2


def test_a_changed_spec_counts_the_generation_up_and_keeps_the_uid(bench: Bench) -> None:
    before = bench.meta
    assert bench.store.apply(pool(suspend=True))
    assert bench.meta["generation"] == 2
    assert (bench.meta["uid"], bench.meta["creationTimestamp"]) == (before["uid"], before["creationTimestamp"])
    assert bench.raw["spec"]["suspend"] is True


def test_the_same_spec_again_changes_nothing(bench: Bench) -> None:
    before = bench.raw
    assert not bench.store.apply(pool(suspend=False))
    assert bench.raw == before
    assert len(bench.changed) == 1


async def test_a_status_counts_the_version_but_not_the_generation(bench: Bench) -> None:
    version = bench.version
    written = await bench.store.write_status(bench.obj, {"poolName": "x"})
    assert written == bench.raw
    assert bench.version > version
    assert bench.meta["generation"] == 1


async def test_a_changed_spec_keeps_the_status(bench: Bench) -> None:
    await bench.store.write_status(bench.obj, {"poolName": "x"})
    bench.store.apply(pool(suspend=True))
    assert bench.raw["status"] == {"poolName": "x"}


async def test_a_status_replaces_the_one_before(bench: Bench) -> None:
    await bench.store.write_status(bench.obj, {"poolName": "x", "poolId": "1"})
    await bench.store.write_status(bench.obj, {"poolName": "y"})
    assert bench.raw["status"] == {"poolName": "y"}


async def test_finalizers_count_the_version_but_not_the_generation(bench: Bench) -> None:
    version = bench.version
    await bench.store.add_finalizer(bench.obj)
    assert bench.meta["finalizers"] == [FINALIZER]
    assert bench.version > version
    assert bench.meta["generation"] == 1


def test_every_change_has_a_newer_version_for_whoever_keeps_the_newest_only(bench: Bench) -> None:
    objects = Objects()
    bench.store.apply(pool(suspend=True))
    bench.store.apply(b.a_pool("other"))
    bench.store.apply(pool(suspend=False))
    assert all(objects.put(raw) is not None for raw in bench.changed)


async def test_our_own_writes_are_answered_and_not_told(bench: Bench) -> None:
    """The controller takes in the answer; told again, it would reconcile forever."""
    await bench.store.add_finalizer(bench.obj)
    await bench.store.write_status(bench.obj, {})
    assert len(bench.changed) == 1


def test_an_object_without_finalizers_is_gone_at_once(bench: Bench) -> None:
    before = bench.raw
    bench.store.remove(KEY)
    assert bench.store.get("LabPool", "default", "plates") is None
    assert bench.gone == [before]


async def test_a_finalizer_holds_a_deleted_object_back(bench: Bench) -> None:
    await bench.store.add_finalizer(bench.obj)
    bench.store.remove(KEY)
    assert bench.obj.metadata.deleting
    assert bench.gone == []
    assert bench.changed[-1]["metadata"]["deletionTimestamp"]


async def test_asking_again_does_not_move_the_moment_of_deletion(bench: Bench) -> None:
    await bench.store.add_finalizer(bench.obj)
    bench.store.remove(KEY)
    before = bench.meta
    bench.store.remove(KEY)
    assert bench.meta == before
    assert len(bench.changed) == 2


async def test_a_deleted_object_goes_with_its_last_finalizer(bench: Bench) -> None:
    await bench.store.add_finalizer(bench.obj)
    bench.store.remove(KEY)
    assert await bench.store.remove_finalizer(bench.obj) is None
    assert bench.store.all() == []
    assert len(bench.gone) == 1


async def test_an_object_that_is_not_deleted_outlives_its_finalizer(bench: Bench) -> None:
    await bench.store.add_finalizer(bench.obj)
    written = await bench.store.remove_finalizer(bench.obj)
    assert written is not None
    assert written["metadata"]["finalizers"] == []


async def test_the_finalizer_is_there_once_however_often_it_is_added(bench: Bench) -> None:
    stale = bench.obj
    await bench.store.add_finalizer(stale)
    await bench.store.add_finalizer(stale)
    await bench.store.add_finalizer(bench.obj)
    assert bench.meta["finalizers"] == [FINALIZER]


async def test_writes_to_an_object_that_is_gone_are_answered_with_nothing(bench: Bench) -> None:
    obj = bench.obj
    bench.store.remove(KEY)
    assert await bench.store.write_status(obj, {}) is None
    assert await bench.store.add_finalizer(obj) is None
    assert await bench.store.remove_finalizer(obj) is None
    await bench.store.delete(obj)
    assert bench.store.all() == []


async def test_writes_to_a_former_object_do_not_touch_its_successor(bench: Bench) -> None:
    former = bench.obj
    bench.store.remove(KEY)
    bench.store.apply(pool())
    assert bench.meta["uid"] != former.metadata.uid
    assert await bench.store.write_status(former, {"poolName": "x"}) is None
    assert "status" not in bench.raw


async def test_deleting_a_former_object_does_not_delete_its_successor(bench: Bench) -> None:
    """A LabRun whose time is over may have been deleted and created again meanwhile."""
    former = bench.obj
    bench.store.remove(KEY)
    bench.store.apply(pool())
    await bench.store.delete(former)
    assert bench.store.keys() == [KEY]


async def test_deleting_asks_for_deletion(bench: Bench) -> None:
    await bench.store.add_finalizer(bench.obj)
    await bench.store.delete(bench.obj)
    assert bench.obj.metadata.deleting


def test_removing_what_is_not_there_does_nothing(bench: Bench) -> None:
    bench.store.remove(Key("LabPool", "default", "other"))
    assert bench.gone == []


def test_labels_of_a_manifest_are_kept(bench: Bench) -> None:
    labelled = LabPool.model_validate(b.manifest("LabPool", "other", labels={"team": "a"}, annotations={"note": "x"}))
    bench.store.apply(labelled)
    found = bench.store.get("LabPool", "default", "other")
    assert found is not None
    assert (found["metadata"]["labels"], found["metadata"]["annotations"]) == ({"team": "a"}, {"note": "x"})


def test_changed_labels_are_taken_in_without_counting_the_generation(bench: Bench) -> None:
    relabelled = pool().model_copy(update={"metadata": pool().metadata.model_copy(update={"labels": {"team": "b"}})})
    bench.store.apply(relabelled)
    assert bench.meta["labels"] == {"team": "b"}
    assert bench.meta["generation"] == 1


def test_keys_can_be_asked_for_by_kind(bench: Bench) -> None:
    bench.store.apply(b.a_run("r"))
    assert bench.store.keys(["LabPool"]) == [KEY]
    assert {key.kind for key in bench.store.keys(None)} == {"LabPool", "LabRun"}


async def test_nobody_changes_the_store_by_changing_what_it_gave_or_was_given(bench: Bench) -> None:
    status: dict[str, Any] = {"queues": []}
    answer = await bench.store.write_status(bench.obj, status)
    assert answer is not None
    bench.raw["spec"]["type"] = "x"
    bench.store.all()[0]["metadata"]["uid"] = "x"
    bench.changed[0]["spec"]["type"] = "x"
    answer["status"]["queues"].append("x")
    status["queues"].append("x")
    assert bench.raw["spec"]["type"] == "device"
    assert bench.raw["status"] == {"queues": []}


@pytest.mark.parametrize("obj", b.one_of_each(), ids=lambda obj: obj.kind)
def test_every_kind_is_kept_as_the_api_has_it(obj: LabObject) -> None:
    store = ObjectStore(None)
    store.apply(obj)
    (raw,) = store.all()
    assert type(obj).model_validate(raw).wire()["spec"] == obj.wire()["spec"]


async def test_objects_survive_in_their_file(tmp_path: Path) -> None:
    """Their uids are how Prefect's objects know their owner."""
    before = Bench(tmp_path / "objects.json")
    before.store.apply(pool())
    await before.store.add_finalizer(before.obj)
    await before.store.write_status(before.obj, {"poolName": "x"})
    after = Bench(tmp_path / "objects.json")
    assert after.store.all() == before.store.all()
    assert not after.store.apply(pool())


async def test_versions_go_on_growing_after_a_reload(tmp_path: Path) -> None:
    before = Bench(tmp_path / "objects.json")
    before.store.apply(pool())
    after = Bench(tmp_path / "objects.json")
    after.store.apply(pool(suspend=True))
    assert after.version > before.version


def test_an_object_that_is_gone_is_gone_from_the_file(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "objects.json")
    bench.store.apply(pool())
    bench.store.remove(KEY)
    assert ObjectStore(tmp_path / "objects.json").all() == []


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    Bench(tmp_path / "objects.json").store.apply(pool())
    assert [path.name for path in tmp_path.iterdir()] == ["objects.json"]
    assert json.loads((tmp_path / "objects.json").read_text("utf-8"))[0]["kind"] == "LabPool"


def test_a_store_without_a_file_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ObjectStore(None).apply(pool())
    assert list(tmp_path.iterdir()) == []
