"""A hundred malformed manifests: each refused with a clear error and exit code 2, none with a traceback.

The manifests are generated; each goes through the whole command, in this process, so that a hundred take seconds.
"""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from labkeeper.cli import app
from tests.e2e.conftest import EXAMPLE, Command

DOCUMENTS = [d for name in ("lab.yaml", "workflows.yaml") for d in yaml.safe_load_all((EXAMPLE / name).read_text())]
WRONG_VALUES: list[Any] = [None, -1, 3.5, "\x07", "", [], {}, [1, 2], {"a": 1}, "Z" * 5000, True, float("nan")]


@st.composite
def malformed(draw: st.DrawFn) -> bytes:
    """A sound manifest of one object with one thing wrong, or text that is no manifest at all."""
    kind = draw(st.sampled_from(["value", "unknown", "missing", "cut", "noise", "shape"]))
    document = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    choice = random.Random(draw(st.integers(0, 2**32)))  # noqa: S311 - only spreads
    if kind == "noise":
        return draw(st.binary(min_size=0, max_size=200))
    if kind == "shape":
        return draw(st.sampled_from([b"[1, 2]", b"", b"a: [", b"just words", b"{}", b"---\n---\n", b"\xff\xfe\x00"]))
    if kind == "cut":
        text = yaml.safe_dump(document)
        return text[: choice.randrange(1, text.index("spec:"))].encode()
    if kind == "missing":
        document.pop(choice.choice(["apiVersion", "kind", "metadata", "spec"]))
    elif kind == "unknown":
        document["spec"][choice.choice(["retires", "x", "Flow", "pools"])] = 1
    else:
        key = choice.choice(["type", "driver", "pool", "flow", "placement"])
        document["spec"][key] = choice.choice([v for v in WRONG_VALUES if v != {}])
    return yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "surrogatepass")


@given(malformed())
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
def test_malformed_manifests_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_bytes(content)
    result = CliRunner().invoke(app, ["validate", str(path)])
    assert result.exit_code == 2, (content, result.output)
    assert isinstance(result.exception, SystemExit), result.exception
    assert str(path) in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("content", [b"[1, 2]", b"", b"kind: LabWorkflow\nspec: {a: .nan}\n", b"a: &a [*a]\n"])
def test_run_refuses_them_as_well_as_a_process(labkeeper: Command, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_bytes(content)
    done = labkeeper("run", path)
    assert done.returncode == 2
    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr
