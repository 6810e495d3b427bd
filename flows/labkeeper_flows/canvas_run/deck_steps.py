"""The steps that open the robot's run and lay its deck out, before the first node that needs the robot. Pure.

They are the same on each resume and have keys of their own (`retrying.DECK`), so the robot's driver can tell that it
has done them. Slots in order, so that two managers send the same.
"""

from __future__ import annotations

from labkeeper_flows.canvas.labware_definitions import definition_of
from labkeeper_flows.canvas.motions import ot2
from labkeeper_flows.canvas.planned import CanvasPlan
from labkeeper_flows.canvas.steps import Role, Step

NAMESPACE = "opentrons"
VERSION = 1


def deck_steps(plan: CanvasPlan) -> tuple[Step, ...]:
    """Open the run, labware by slot, pipettes by mount; none where the canvas does not need the robot."""
    if Role.OT2 not in plan.roles:
        return ()
    found = [ot2("initialize_robot", physical=False)]
    for placed in sorted(plan.deck.labware.values(), key=lambda it: it.slot):
        definition = definition_of(placed.labware)
        where = {"labware": placed.name, "load_name": placed.labware.load_name, "slot": placed.slot}
        if definition is not None:
            found.append(ot2("load_custom_labware", physical=False, **where, definition=definition))
        else:
            found.append(ot2("load_labware", physical=False, **where, namespace=NAMESPACE, version=VERSION))
    mounted = sorted(plan.deck.pipettes.values(), key=lambda it: it.mount)
    found += [ot2("load_pipette", physical=False, pipette=it.name, mount=it.mount) for it in mounted]
    return tuple(found)
