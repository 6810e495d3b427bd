"""The world of a LabWorkflow and what is planned in it. No tests in here."""

from __future__ import annotations

from typing import Any

import pytest

from labkeeper_api.errors import Stalled
from labkeeper_api.kinds import LabPool, LabWorkflow
from labkeeper_operator.reconcile import workflows
from labkeeper_operator.reconcile.observed import ObservedDeployment
from labkeeper_operator.reconcile.plan import Action, CreateDeployment, UpdateDeployment
from labkeeper_operator.reconcile.workflows import WorkflowWorld
from tests.unit import builders as b

PLATES = b.a_pool("plates", queues={"urgent": 1, "standard": 2})
JOBS = b.a_pool("jobs", type="kubernetes", queues={"big": 1})


def a_world(**given: Any) -> WorkflowWorld:
    """A world with the device pool `plates`, where the deployment is not there yet."""
    values: dict[str, Any] = {
        "catalog": b.CATALOG,
        "pool": PLATES,
        "known_pools": ("jobs", "plates"),
        "observed": None,
    }
    return WorkflowWorld(**{**values, **given})


def pool_for(workflow: LabWorkflow) -> LabPool:
    """The pool that the workflow names."""
    return {"plates": PLATES, "jobs": JOBS}[workflow.spec.placement.pool]


def actions(workflow: LabWorkflow, **given: Any) -> tuple[Action, ...]:
    """What is planned for a workflow."""
    return workflows.plan(workflow, a_world(**{"pool": pool_for(workflow), **given})).actions


def created(workflow: LabWorkflow, **given: Any) -> CreateDeployment:
    """The creation that is planned while there is no deployment."""
    (action,) = actions(workflow, **given)
    assert isinstance(action, CreateDeployment)
    return action


def deployed(workflow: LabWorkflow, **given: Any) -> ObservedDeployment:
    """The deployment that the planned creation leaves in Prefect."""
    action = created(workflow, **given)
    return b.observed_deployment(action.flow_name, action.body)


def planned_over(before: LabWorkflow, after: LabWorkflow, **given: Any) -> tuple[Action, ...]:
    """What is planned once the spec has changed from one to the other."""
    observed = deployed(before)
    return actions(after, observed=observed, owned=(observed,), **given)


def changes(before: LabWorkflow, after: LabWorkflow, **given: Any) -> dict[str, Any]:
    """What the one planned update of the deployment changes."""
    (action,) = planned_over(before, after, **given)
    assert isinstance(action, UpdateDeployment)
    assert action.id == "dep-1"
    return action.changes


def stalls(workflow: LabWorkflow, **given: Any) -> Stalled:
    """Why nothing is planned."""
    with pytest.raises(Stalled) as caught:
        actions(workflow, **given)
    return caught.value
