"""Manifest files and folders: what is read, what stands beside it, and what cannot be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from labkeeper.files import load, manifest_files
from tests.unit import builders as b


def write(path: Path, *names: str, kind: str = "LabPool") -> Path:
    """A file with one object of that kind for each name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(b.yaml_text(*(b.manifest(kind, name) for name in names)), "utf-8")
    return path


def names(manifests: Iterable[object]) -> list[str]:
    """Names of the objects that were read."""
    return [getattr(manifest, "object").metadata.name for manifest in manifests]  # noqa: B009


def test_all_objects_of_a_file_are_read(tmp_path: Path) -> None:
    loaded = load([write(tmp_path / "lab.yaml", "a", "b")], with_siblings=False)
    assert names(loaded.manifests) == ["a", "b"]
    assert loaded.problems == []


def test_files_are_read_in_the_order_given(tmp_path: Path) -> None:
    paths = [write(tmp_path / "z.yaml", "z"), write(tmp_path / "a.yaml", "a")]
    assert names(load(paths, with_siblings=False).manifests) == ["z", "a"]


def test_all_manifests_of_a_folder_are_read_in_alphabetical_order(tmp_path: Path) -> None:
    for name in ("b.yml", "c.json", "a.yaml"):
        write(tmp_path / name, name[0])
    (tmp_path / "README.md").write_text("no manifest")
    (tmp_path / "d.yaml").mkdir()
    write(tmp_path / "deeper" / "e.yaml", "e")
    assert names(load([tmp_path], with_siblings=False).manifests) == ["a", "b", "c"]
    assert [path.name for path in manifest_files(tmp_path)] == ["a.yaml", "b.yml", "c.json"]


def test_a_folder_without_manifests_is_a_problem(tmp_path: Path) -> None:
    (problem,) = load([tmp_path], with_siblings=False).problems
    assert problem.message == "the folder holds no manifest"
    assert problem.hint == "manifests end in .yaml, .yml, .json"
    assert problem.source == str(tmp_path)


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    (problem,) = load([tmp_path / "no.yaml"], with_siblings=True).problems
    assert str(problem) == f"{tmp_path / 'no.yaml'}: cannot be read: No such file or directory"


def test_what_is_wrong_in_several_files_is_said_at_once(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("kind: LabPol\n")
    loaded = load([tmp_path], with_siblings=False)
    assert [Path(problem.source).name for problem in loaded.problems] == ["a.yaml", "b.yaml"]


def test_a_bad_file_does_not_keep_the_others_from_being_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("{")
    write(tmp_path / "b.yaml", "b")
    loaded = load([tmp_path], with_siblings=False)
    assert names(loaded.manifests) == ["b"]
    assert len(loaded.problems) == 1


def test_a_folder_that_cannot_be_listed_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    (problem,) = load([tmp_path], with_siblings=False).problems
    assert "Permission denied" in problem.message


def test_a_file_is_read_even_where_its_folder_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path / "a.yaml", "a")
    monkeypatch.setattr(Path, "iterdir", refuse)
    assert names(load([path], with_siblings=True).manifests) == ["a"]


def test_what_stands_beside_a_file_is_read_apart(tmp_path: Path) -> None:
    path = write(tmp_path / "workflows.yaml", "w")
    write(tmp_path / "lab.yaml", "p")
    loaded = load([path], with_siblings=True)
    assert (names(loaded.manifests), names(loaded.beside), names(loaded.all)) == (["w"], ["p"], ["w", "p"])


def test_siblings_are_only_read_when_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "workflows.yaml", "w")
    write(tmp_path / "lab.yaml", "p")
    assert load([path], with_siblings=False).beside == []


def test_a_sibling_that_cannot_be_read_is_no_problem_of_ours(tmp_path: Path) -> None:
    path = write(tmp_path / "workflows.yaml", "w")
    (tmp_path / "values.yaml").write_text("replicas: 3\n")
    (tmp_path / "broken.yaml").write_text("{")
    assert load([path], with_siblings=True).problems == []


def test_an_object_that_was_asked_for_is_not_read_again_beside_it(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.yaml", "p")
    write(tmp_path / "theirs.yaml", "p", "q")
    assert names(load([path], with_siblings=True).beside) == ["q"]


def test_an_object_in_two_siblings_is_read_once(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.yaml", "p")
    write(tmp_path / "a.yaml", "q")
    write(tmp_path / "b.yaml", "q")
    assert names(load([path], with_siblings=True).beside) == ["q"]


def test_files_of_one_folder_are_not_siblings_of_each_other_when_both_are_asked_for(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a.yaml", "a"), write(tmp_path / "b.yaml", "b")]
    assert load(paths, with_siblings=True).beside == []


def test_a_sibling_is_found_through_a_link(tmp_path: Path) -> None:
    target = write(tmp_path / "real" / "w.yaml", "w")
    write(tmp_path / "real" / "lab.yaml", "p")
    link = tmp_path / "link.yaml"
    link.symlink_to(target)
    assert names(load([link], with_siblings=True).beside) == ["p"]


def test_an_object_in_two_files_that_were_both_asked_for_is_a_problem(tmp_path: Path) -> None:
    """As within one file: which of the two would count?"""
    paths = [write(tmp_path / "a.yaml", "p"), write(tmp_path / "b.yaml", "p")]
    (problem,) = load(paths, with_siblings=False).problems
    assert "LabPool default/p stands twice" in problem.message
    assert problem.source == str(tmp_path / "b.yaml")


@pytest.mark.parametrize("again", ["lab.yaml", "."])
def test_a_file_that_is_given_twice_is_read_once(tmp_path: Path, again: str) -> None:
    path = write(tmp_path / "lab.yaml", "p")
    loaded = load([path, tmp_path / again], with_siblings=False)
    assert (names(loaded.manifests), loaded.problems) == (["p"], [])


def test_files_of_a_folder_that_are_not_ours_are_passed_over(tmp_path: Path) -> None:
    """A lab's repository keeps configuration and kustomizations beside its manifests."""
    write(tmp_path / "lab.yaml", "p")
    (tmp_path / "hotel-config.yaml").write_text("hotels: {A: 10}\n", "utf-8")
    (tmp_path / "kustomization.yaml").write_text("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n")
    (tmp_path / "numbers.json").write_text("[1, 2]", "utf-8")
    loaded = load([tmp_path], with_siblings=False)
    assert (names(loaded.manifests), loaded.problems) == (["p"], [])
    assert [path.name for path in loaded.passed_over] == ["hotel-config.yaml", "kustomization.yaml", "numbers.json"]


def test_a_named_file_that_is_not_ours_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "hotel-config.yaml"
    path.write_text("hotels: {A: 10}\n", "utf-8")
    assert [problem.path for problem in load([path], with_siblings=False).problems] == ["apiVersion"]


def test_a_folder_with_nothing_of_ours_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("replicas: 3\n", "utf-8")
    (problem,) = load([tmp_path], with_siblings=False).problems
    assert problem.message == "the folder holds no manifest"
