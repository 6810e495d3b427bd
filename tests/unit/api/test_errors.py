"""Problems, errors and guesses as people read them."""

from __future__ import annotations

import pytest

from labkeeper_api.errors import DeviceUnreachable, Interrupted, InvalidInput, LabkeeperError, Problem, Stalled, Waiting
from labkeeper_api.suggestions import did_you_mean


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("spec.queue", "is missing"), "spec.queue: is missing"),
        (Problem("spec.queue", "is missing", "add one"), "spec.queue: is missing (add one)"),
        (Problem("spec.queue", "is missing", "", 7), "line 7: spec.queue: is missing"),
        (Problem("spec.queue", "is missing", "", 7, "lab.yaml"), "lab.yaml:7: spec.queue: is missing"),
        (
            Problem("spec.queue", "is missing", "add one", None, "lab.yaml"),
            "lab.yaml: spec.queue: is missing (add one)",
        ),
        (Problem("", "the file is empty", "", 1, "lab.yaml"), "lab.yaml:1: the file is empty"),
        (Problem("", "the file is empty"), "the file is empty"),
    ],
)
def test_a_problem_reads_as_place_path_message_and_hint(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_problems_can_be_sorted_whether_or_not_their_line_is_known() -> None:
    found = [Problem("a", "x", "", 3), Problem("a", "x", "", None), Problem("a", "w", "", None)]
    assert [problem.message for problem in sorted(found)] == ["w", "x", "x"]


def test_invalid_input_says_every_problem_on_a_line_of_its_own() -> None:
    error = InvalidInput([Problem("a", "is missing"), Problem("b", "is missing")])
    assert str(error) == "a: is missing\nb: is missing"
    assert len(error.problems) == 2


def test_waiting_says_when_to_try_again() -> None:
    error = Waiting("PoolNotReady", "not yet", retry_after=2.5)
    assert (error.reason, error.message, error.retry_after, str(error)) == ("PoolNotReady", "not yet", 2.5, "not yet")


def test_stalled_says_why() -> None:
    error = Stalled("Conflict", "taken")
    assert (error.reason, error.message, str(error)) == ("Conflict", "taken", "taken")


def test_interrupted_names_its_cause_when_nothing_else_is_said() -> None:
    assert str(Interrupted("cancel")) == "interrupted by cancel"
    assert str(Interrupted("timeout", "after 5 s")) == "after 5 s"


@pytest.mark.parametrize("error", [Waiting("a", "b", retry_after=1), Stalled("a", "b"), DeviceUnreachable("gone")])
def test_all_our_errors_have_one_base(error: Exception) -> None:
    assert isinstance(error, LabkeeperError)


@pytest.mark.parametrize("given", ["LabWorkflw", "labworkflow", "LABWORKFLOW", "LabWorkflows"])
def test_a_typing_mistake_is_recognised(given: str) -> None:
    assert did_you_mean(given, ["LabPool", "LabWorkflow"]) == "did you mean 'LabWorkflow'?"


def test_a_word_unlike_any_other_is_answered_with_what_is_known() -> None:
    assert did_you_mean("zzz", ["urgent", "standard"]) == "known here: urgent, standard"


def test_nothing_known_gives_no_hint() -> None:
    assert did_you_mean("anything", []) == ""
