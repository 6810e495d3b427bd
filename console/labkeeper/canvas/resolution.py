"""Which devices of the lab a canvas means by `robot_ip`, `COM4` and the like. Pure; nothing is reached here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_api.kinds import LabDevice
from labkeeper_flows.canvas.steps import HARDWARE, Role


def resolve(
    connections: Mapping[Role, Mapping[str, Any]], roles: Iterable[Role], devices: Sequence[LabDevice]
) -> Mapping[Role, LabDevice]:
    """The device of each role that is hardware, in the order of their names.

    `connections` is how the canvas names them (`CanvasPlan.connections`). What it names must be the address, the port
    or an alias of a device whose driver is the role; a canvas that names nothing gets the only device of that driver.
    Raises `InvalidInput` with one problem for each role that no device, or more than one, answers to.
    """
    found: dict[Role, LabDevice] = {}
    problems = []
    for role in sorted(set(roles) & HARDWARE):
        device = _resolved(role, connections.get(role, {}), devices)
        if isinstance(device, Problem):
            problems.append(device)
        else:
            found[role] = device
    if problems:
        raise InvalidInput(problems)
    return found


def names_of(device: LabDevice) -> tuple[str, ...]:
    """What the device answers to: its address with and without port, its serial port and its aliases."""
    connection = device.spec.connection
    if connection is None:
        return ()
    address = connection.address
    names = [address, address.partition(":")[0] if address else None, connection.port, *connection.aliases]
    return tuple(dict.fromkeys(name for name in names if name))


def answers_to(device: LabDevice, name: str) -> bool:
    """Whether a canvas or script that says `name` means this device. Case does not count: COM4 is com4 on Windows."""
    wanted = {name.casefold(), name.casefold().partition(":")[0]} if "/" not in name else {name.casefold()}
    return any(own.casefold() in wanted for own in names_of(device))


def _resolved(role: Role, named: Mapping[str, Any], devices: Sequence[LabDevice]) -> LabDevice | Problem:
    candidates = [device for device in devices if device.spec.driver == role.value]
    # Ports of the network are numbers and say nothing: the guide's 80 is not what any robot answers on (facts 1.6).
    said = {key: value for key, value in named.items() if isinstance(value, str) and value}
    fitting = [d for d in candidates if all(answers_to(d, name) for name in said.values())]
    if len(fitting) == 1:
        return fitting[0]
    path, message = _complaint(role, said, fitting)
    return Problem(path, message, _hint(role, said, candidates, fitting))


def _complaint(role: Role, said: Mapping[str, str], fitting: Sequence[LabDevice]) -> tuple[str, str]:
    path = ".".join([role.value, *list(said)[:1]])
    called = " and ".join(f"{key} {name!r}" for key, name in said.items())
    if fitting:
        names = ", ".join(device.metadata.name for device in fitting)
        which = f"all answer to {called}" if said else "and the canvas does not say which it means"
        return path, f"the lab has several devices of driver {role.value} ({names}), {which}"
    if said:
        return path, f"no device of driver {role.value} answers to {called}"
    return path, f"the lab has no device of driver {role.value}"


def _hint(role: Role, said: Mapping[str, str], candidates: Sequence[LabDevice], fitting: Sequence[LabDevice]) -> str:
    if len(fitting) > 1:
        return "give each an alias of its own in spec.connection.aliases, and name that in the canvas"
    if not candidates:
        alias = f" and connection.aliases: [{next(iter(said.values()))}]" if said else ""
        return f"apply a LabDevice with driver: {role.value}{alias}; a simulated one has simulate: {{timeFactor: 100}}"
    there = "; ".join(
        f"{device.metadata.name} answers to {', '.join(names_of(device)) or 'no name'}" for device in candidates
    )
    wanted = next(iter(said.values()))
    return f"{there}: add {wanted} to spec.connection.aliases of the one that is meant"
