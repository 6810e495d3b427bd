"""Break conditions: what they mean, and where they are wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkeeper_flows.canvas import expressions
from labkeeper_flows.canvas.expressions import ExpressionError, ValueMissing


@pytest.mark.parametrize(
    ("text", "values", "holds"),
    [
        ("voltage < -1.5", {"voltage": -1.6}, True),
        ("voltage < -1.5", {"voltage": -1.5}, False),
        ("current > 100 mA", {"current": 0.2}, True),
        ("voltage < -1500mV", {"voltage": -1.6}, True),
        ("time >= 5 min and not cycle < 3", {"time": 300, "cycle": 3}, True),
        ("(voltage > 1 or current > 1) and cycle == 2", {"voltage": 0, "current": 2, "cycle": 2}, True),
        ("voltage > 1 or current > 1 and cycle == 2", {"voltage": 2, "current": 0, "cycle": 1}, True),
        ("-1 < voltage <= 1", {"voltage": 1}, True),
        ("-1 < voltage <= 1", {"voltage": -1}, False),
        ("!(voltage != 1) && cycle >= 1 || cycle == 9", {"voltage": 1, "cycle": 1}, True),
        ("0.5 < voltage", {"voltage": 0.6}, True),
        ("voltage < 1 V and current < 1", {"voltage": 0, "current": 0}, True),
    ],
)
def test_conditions(text: str, values: dict[str, float], holds: bool) -> None:
    assert expressions.parse(text).holds(values) is holds


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("", 1, "nothing"),
        ("voltage", 8, "comparison is missing"),
        ("voltage <", 10, "expected here"),
        ("voltage = 1", 9, "=="),
        ("volatge < 1", 1, "did you mean 'voltage'"),
        ("voltage < 5 min", 11, "cannot be compared"),
        ("voltage < time", 11, "cannot be compared"),
        ("voltage < 1 parsec", 11, "no unit"),
        ("(voltage < 1", 13, "closing parenthesis"),
        ("voltage < 1)", 12, "unexpected"),
        ("voltage < 1 voltage", 11, "no unit"),
        ("voltage < 1 (", 13, "unexpected"),
        ("voltage < (1)", 11, "expected here"),
        ("and", 1, "expected here"),
        ("voltage < 1; import os", 12, "';'"),
        ("__import__('os')", 12, "no place"),
        ("os.system(1)", 3, "no place"),
        ("exit()", 1, "nothing that is measured"),
        ("(" * 100 + "voltage < 1", 41, "nested too deeply"),
        ("voltage < 1 " + " " * 600, 500, "at most"),
    ],
)
def test_an_error_names_its_column(text: str, column: int, said: str) -> None:
    with pytest.raises(ExpressionError) as error:
        expressions.parse(text)
    assert error.value.column == column
    assert said in str(error.value)


def test_the_names_it_asks_for_are_known() -> None:
    assert expressions.parse("voltage < 1 or not time > 2 s").names == {"voltage", "time"}


def test_what_nobody_measured_is_said_and_not_guessed() -> None:
    with pytest.raises(ValueMissing, match="voltage"):
        expressions.parse("voltage < 1").holds({"current": 1})


_WORDS = st.sampled_from(
    ["voltage", "current", "time", "1", "-2.5", "5 min", "10 mV", "<", ">=", "and", "or", "not", "(", ")", "=", "é"]
)


@given(st.lists(_WORDS, max_size=25).map(" ".join) | st.text(max_size=40))
def test_nothing_but_an_expression_error_is_raised(text: str) -> None:
    try:
        found = expressions.parse(text)
    except ExpressionError as error:
        found, column = None, error.column
    if found is None:
        assert 1 <= column <= len(text) + 1
    else:
        assert found.holds(dict.fromkeys(found.names, 0.5)) in (True, False)
