"""A canvas -> a plan that a manager can carry out without deciding anything: order, steps, devices, policies, loops.

`plan_text` and `plan` are the doors of the engine. All that is wrong is told at once, as InvalidInput, before anything
moves. Pure: no device, no Prefect, no clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labkeeper_api.documents import NodePath
from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_flows.canvas import document, forms, registry
from labkeeper_flows.canvas.context import Context, Finding
from labkeeper_flows.canvas.deck import Deck, battery_deck, deck_of
from labkeeper_flows.canvas.document import Canvas, CanvasNode, Shape
from labkeeper_flows.canvas.ledgers import LiquidLedger, TipLedger
from labkeeper_flows.canvas.nodes.base import Category, NodeParameters, RetryPolicy
from labkeeper_flows.canvas.planned import CanvasPlan, PlannedLoop, PlannedNode
from labkeeper_flows.canvas.resolve import Resolution, Resolved, resolve
from labkeeper_flows.canvas.steps import HARDWARE, Role
from labkeeper_flows.canvas.structure import Block, Structure, structure


def plan_text(text: str | bytes, source: str = "", **lab: Any) -> CanvasPlan:
    """Read and plan the text of a canvas; `lab` as for `plan`. Raises InvalidInput with everything that is wrong."""
    return plan(document.read(text, source), **lab)


def plan(
    canvas: Canvas,
    *,
    deck: Deck | None = None,
    tips: TipLedger | None = None,
    contents: Mapping[str, Mapping[str, float]] | None = None,
    drivers: frozenset[str] = frozenset(),
    policies: Mapping[Category, RetryPolicy] | None = None,
) -> CanvasPlan:
    """Plan a canvas. Raises InvalidInput with everything that is wrong.

    `deck`: what stands where; by default that of the canvas, else the battery lab's. `tips`: which are gone already.
    `contents`: what wells are known to hold, labware -> well -> µL; others may hold anything. `drivers`: beyond the
    usual ones (`xarm`). `policies`: recovery policies by category (facts 1.5) instead of those of the node types.
    """
    problems = list(canvas.problems)
    known = dict(_resolved(canvas, problems))
    drawn, wrong = structure(canvas, {name: node.kind.name for name, node in known.items()})
    problems += wrong
    context = Context(
        deck=deck if deck is not None else _deck(canvas, problems),
        tips=tips.copy() if tips is not None else TipLedger(),
        liquids=LiquidLedger.of(contents),
        drivers=drivers,
        global_config=canvas.global_config,
        experiment={"experiment_id": _file_name(canvas.name), "run_number": 1},
    )
    _connect(canvas, context)
    laid_out = context.deck
    done = resolve(drawn.blocks, known, context)
    problems += _told(canvas, done.findings, only_state=bool(problems))
    if problems:
        raise InvalidInput(sorted(dict.fromkeys(problems)))
    return _planned(canvas, drawn, known, done, _Lab(context, laid_out, policies or {}))


def _resolved(canvas: Canvas, problems: list[Problem]) -> Iterator[tuple[str, Resolved]]:
    for node in canvas.nodes:
        kind = registry.find(node.type, catalyst_canvas=canvas.shape is Shape.CATALYST)
        if kind is None:
            if node.type:
                path = (*node.path, "type")
                message = f"{node.type!r} is no type of node that is known here"
                problems.append(canvas.problem(path, message, registry.suggestion(node.type)))
            continue
        parameters, findings = registry.check(kind, node.parameters)
        problems.extend(_at(canvas, node, finding) for finding in findings)
        told = {finding.field[:1] for finding in findings}
        problems.extend(
            _at(canvas, node, Finding((it.parameter,), it.message, it.hint))
            for it in forms.objections(node.groups, node.parameters)
            if (it.parameter,) not in told
        )
        if parameters is not None:
            yield node.id, Resolved(kind, parameters)


def _told(canvas: Canvas, findings: Sequence[tuple[str, Finding]], *, only_state: bool) -> Iterator[Problem]:
    """Findings as problems. Those that follow from earlier steps mean nothing while something is wrong in itself."""
    nodes = {node.id: node for node in canvas.nodes}
    wrong = only_state or any(not finding.state for _, finding in findings)
    yield from (_at(canvas, nodes[name], finding) for name, finding in findings if not (wrong and finding.state))


def _at(canvas: Canvas, node: CanvasNode, finding: Finding) -> Problem:
    path: NodePath = (*node.parameters_path, *finding.field) if finding.field else node.path
    return canvas.problem(path, finding.message, finding.hint)


def _deck(canvas: Canvas, problems: list[Problem]) -> Deck:
    if canvas.shape is not Shape.CATALYST:
        return battery_deck()
    deck, objections = deck_of(canvas.global_config)
    problems += [canvas.problem(("global_config", *it.path), it.message, it.hint) for it in objections]
    return deck


def _connect(canvas: Canvas, context: Context) -> None:
    """`global_config.hardware` of a catalyst canvas (facts 1.7)."""
    hardware = canvas.global_config.get("hardware")
    for key, name, role, called in (
        ("ot2", "ip", Role.OT2, "robot_ip"),
        ("arduino", "port", Role.ARDUINO, "com_port"),
    ):
        entry = hardware.get(key) if isinstance(hardware, dict) else None
        if isinstance(entry, dict) and isinstance(entry.get(name), str):
            context.connect(role, called, entry[name], parameter="", said=True)


def _file_name(name: str) -> str:
    return re.sub(r"[/\\\x00-\x1f]+", "_", name)[:200] or "canvas"


@dataclass(frozen=True)
class _Lab:
    """What a plan is made for: the lab when all is planned, its deck when the canvas begins, and its policies."""

    context: Context
    deck: Deck
    policies: Mapping[Category, RetryPolicy]


def _planned(
    canvas: Canvas,
    drawn: Structure,
    known: Mapping[str, Resolved],
    done: Resolution,
    lab: _Lab,
) -> CanvasPlan:
    labels = {node.id: node.label for node in canvas.nodes}
    order = [name for block in drawn.blocks for name in (block.node, *block.members)]
    loop_of = {name: block.node for block in drawn.blocks for name in block.members}
    roles = {name: frozenset(step.role for steps in done.cycles[name] for step in steps) for name in order}
    after = _after(drawn.blocks, {name: roles[name] | done.holds.get(name, frozenset()) for name in order})
    nodes = []
    for name in order:
        place = _Place(name, labels[name], drawn.depends[name], after[name], loop_of.get(name))
        nodes.append(_node(known[name], lab.policies, place, done, roles[name]))
    loops = [_loop(block, done) for block in drawn.blocks if block.loop is not None]
    connections: dict[Role, dict[str, Any]] = {}
    for (role, name), (value, _) in lab.context.connections.items():
        connections.setdefault(role, {})[name] = value
    return CanvasPlan(
        id=canvas.id,
        name=canvas.name,
        shape=canvas.shape,
        metadata=canvas.metadata,
        nodes=tuple(nodes),
        loops=tuple(loops),
        connections=connections,
        deck=lab.deck,
        tips_used=lab.context.tips.used(),
        warnings=tuple(_warnings(canvas, loops)),
    )


@dataclass(frozen=True)
class _Place:
    """Where a node stands in the plan."""

    id: str
    label: str
    depends_on: tuple[str, ...]
    after: tuple[str, ...]
    loop: str | None


def _node(
    node: Resolved,
    policies: Mapping[Category, RetryPolicy],
    place: _Place,
    done: Resolution,
    roles: frozenset[Role],
) -> PlannedNode:
    parameters: NodeParameters = node.parameters
    return PlannedNode(
        id=place.id,
        type=node.kind.name,
        label=place.label,
        category=node.kind.category,
        parameters=parameters.model_dump(mode="json"),
        depends_on=place.depends_on,
        after=place.after,
        roles=roles,
        holds=done.holds.get(place.id, frozenset()),
        error_handling=parameters.error_handling,
        retry=policies.get(node.kind.category, node.kind.retry),
        wait_before=parameters.wait_before,
        wait_after=parameters.wait_after,
        log_level=parameters.log_level,
        loop=place.loop,
        cycles=tuple(done.cycles[place.id]),
    )


def _loop(block: Block, done: Resolution) -> PlannedLoop:
    most = min((len(done.cycles[name]) for name in block.members), default=0)
    counter = block.loop.counter if block.loop else None
    return PlannedLoop(
        block.node, block.members, counter, done.rules[block.node], most, done.limits.get(block.node, "")
    )


def _after(blocks: Sequence[Block], roles: Mapping[str, frozenset[Role]]) -> dict[str, tuple[str, ...]]:
    """Who had each device before, in the order of the plan. A loop has its devices from its first to its last cycle."""
    last: dict[Role, str] = {}
    found: dict[str, tuple[str, ...]] = {}
    for block in blocks:
        needed = roles[block.node].union(*(roles[name] for name in block.members)) & HARDWARE
        found[block.node] = _before(needed, last, block.node)
        inside: dict[Role, str] = {}
        for name in block.members:
            found[name] = _before(roles[name] & HARDWARE, inside, name)
    return found


def _before(needed: frozenset[Role], last: dict[Role, str], name: str) -> tuple[str, ...]:
    before = dict.fromkeys(last[role] for role in sorted(needed) if role in last)
    last.update(dict.fromkeys(needed, name))
    return tuple(before)


def _warnings(canvas: Canvas, loops: Sequence[PlannedLoop]) -> Iterator[Problem]:
    nodes = {node.id: node for node in canvas.nodes}
    for loop in loops:
        node = nodes[loop.head]
        if loop.rule.count is not None and not loop.rule.window.kept(loop.rule.count):
            path = (*node.parameters_path, "data_collection_mode")
            hint = "see data_collection_start and stabilization_cycles"
            yield canvas.problem(path, f"of {loop.rule.count} cycles the data of none are kept", hint)
