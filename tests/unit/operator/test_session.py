"""What answers of Prefect mean: which go on by themselves, and which a person has to mend."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from labkeeper_api.conditions import Reason
from labkeeper_api.errors import LabkeeperError, Stalled, Waiting
from labkeeper_operator.prefect_api import session as module
from labkeeper_operator.prefect_api.session import AlreadyExists, NotFound, understood

INTEGRITY = (
    "Data integrity conflict. This usually means a unique or foreign key constraint was violated. "
    "See server logs for details."
)
"""What Prefect 3.8 answers when a deployment names a flow that is gone."""


def translated(code: int, body: Any) -> LabkeeperError:
    """What that answer is taken for."""
    return module._translated(httpx.Response(code, json=body, request=httpx.Request("POST", "http://prefect/api/")))


@pytest.mark.parametrize(
    ("code", "body", "kind"),
    [
        (404, {"detail": "Work pool not found."}, NotFound),
        (409, {"detail": "A work pool with name 'a' already exists."}, AlreadyExists),
        (409, {"detail": INTEGRITY}, Waiting),
        (401, {"detail": "who are you"}, Waiting),
        (429, {"detail": "slow down"}, Waiting),
        (500, {"exception_message": "Internal Server Error"}, Waiting),
        (503, {"exception_message": "Service Unavailable"}, Waiting),
        (422, {"exception_message": "Invalid request received."}, Stalled),
        (409, {"detail": "Error creating deployment: job variables do not fit."}, Stalled),
    ],
)
def test_an_answer_is_taken_for_what_it_is(code: int, body: Any, kind: type[LabkeeperError]) -> None:
    assert type(translated(code, body)) is kind


@pytest.mark.parametrize("error", [NotFound("Flow not found"), AlreadyExists("a exists")])
def test_after_a_surprise_another_look_helps(error: NotFound | AlreadyExists) -> None:
    found = understood(error)
    assert isinstance(found, Waiting)
    assert found.reason == Reason.PROGRESSING
    assert str(error) in found.message


def test_other_errors_mean_what_they_say() -> None:
    waiting = Waiting(Reason.PREFECT_UNAVAILABLE, "away", retry_after=1.0)
    stalled = Stalled(Reason.CONFLICT, "taken")
    assert understood(waiting) is waiting
    assert understood(stalled) is stalled
