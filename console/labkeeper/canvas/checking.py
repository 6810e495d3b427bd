"""What is wrong with a canvas or a protocol, as far as files alone can tell. Starts nothing and knows no device."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from labkeeper.canvas.recognition import Document, Kind
from labkeeper_api.errors import InvalidInput, Problem
from labkeeper_flows.canvas import jsontext
from labkeeper_flows.canvas.plan import plan_text
from labkeeper_flows.canvas.steps import HARDWARE

OT2_MODELS = ("OT-2 Standard", "OT-2")


def document_problems(document: Document) -> list[Problem]:
    """Everything that is wrong with a document."""
    if document.kind is Kind.CANVAS:
        return canvas_problems(document.text, document.source)
    return protocol_problems(document.text, document.source)


def canvas_problems(text: str | bytes, source: str = "") -> list[Problem]:
    """Everything that keeps a canvas from being planned."""
    try:
        plan_text(text, source)
    except InvalidInput as error:
        return list(error.problems)
    return []


def protocol_problems(text: str | bytes, source: str = "") -> list[Problem]:
    """What keeps a text from being an Opentrons protocol. Whether it can run is for the robot's analysis to say."""
    raw = text.encode() if isinstance(text, str) else text
    check = _python_problems if _is_python(raw, source) else _json_problems
    return list(check(raw, source))


def sound(document: Document) -> str:
    """What a document without problems holds, in words."""
    if document.kind is Kind.PROTOCOL:
        return f"protocol {document.source}"
    plan = plan_text(document.text, document.source)
    roles = ", ".join(sorted(plan.roles & HARDWARE)) or "no device"
    return f"canvas {plan.name!r} ({plan.total} node{'s' * (plan.total != 1)}, for {roles})"


def _is_python(raw: bytes, source: str) -> bool:
    suffix = Path(source).suffix
    return suffix == ".py" or (suffix != ".json" and not raw.lstrip().startswith(b"{"))


def _python_problems(raw: bytes, source: str) -> Iterator[Problem]:
    if not raw.strip():
        yield Problem("", "the file is empty", "a protocol has a function run(protocol)", 1, source)
        return
    try:
        tree = ast.parse(raw, filename=source)
    except SyntaxError as error:
        yield Problem("", f"no valid Python: {error.msg}", "", error.lineno, source)
        return
    except (ValueError, RecursionError, MemoryError) as error:
        yield Problem("", f"no valid Python: {error}", "", None, source)
        return
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    if "run" not in functions:
        hint = "the robot calls run(protocol)"
        yield Problem("", "the protocol has no function run", hint, None, source)
    if not _gives_api_level(tree):
        hint = 'such as metadata = {"apiLevel": "2.14"}'
        yield Problem("metadata.apiLevel", "the protocol does not say which API level it is for", hint, None, source)


def _gives_api_level(tree: ast.Module) -> bool:
    for node in tree.body:
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or not isinstance(node.value, ast.Dict):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        named = any(isinstance(target, ast.Name) and target.id in ("metadata", "requirements") for target in targets)
        if named and any(isinstance(key, ast.Constant) and key.value == "apiLevel" for key in node.value.keys):
            return True
    return False


def _json_problems(raw: bytes, source: str) -> Iterator[Problem]:
    try:
        text = jsontext.read(raw, source)
    except InvalidInput as error:
        yield from (
            Problem(p.path, p.message, p.hint.replace("a canvas is a JSON object with nodes", ""), p.line, p.source)
            for p in error.problems
        )
        return
    data = text.data
    if not isinstance(data, dict):
        yield text.problem((), "a JSON protocol is an object", "such as the Protocol Designer writes it")
        return
    if not isinstance(data.get("schemaVersion"), int):
        yield text.problem(("schemaVersion",), "must be a whole number: the version of the protocol's format")
    robot = data.get("robot")
    model = robot.get("model") if isinstance(robot, dict) else None
    if model not in OT2_MODELS:
        yield text.problem(("robot", "model"), f"{model!r} is not the OT-2", f"must be {OT2_MODELS[0]!r}")
    if not isinstance(data.get("commands"), list):
        yield text.problem(("commands",), "must be a list: a protocol is the commands that the robot carries out")
