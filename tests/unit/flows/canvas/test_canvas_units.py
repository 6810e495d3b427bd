"""Quantities with units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkeeper_flows.canvas import units


@pytest.mark.parametrize(
    ("text", "value", "dimension"),
    [
        ("-0.2V", -0.2, "voltage"),
        ("10 mV", 0.01, "voltage"),
        ("5 min", 300, "time"),
        ("1.5e-3 A", 0.0015, "current"),
        ("-4mA", -0.004, "current"),
        ("3 µA", 3e-6, "current"),
        ("3 μA", 3e-6, "current"),
        ("100 kHz", 1e5, "frequency"),
        ("50 mV/s", 0.05, "scan rate"),
        ("26 mm", 0.026, "length"),
        ("5 mL", 5e-6, "volume"),
        ("25 °C", 25, "temperature"),
        ("3 cycles", 3, "count"),
        ("\u22120.2 V", -0.2, "voltage"),
        (".5 h", 1800, "time"),
    ],
)
def test_text_becomes_si(text: str, value: float, dimension: str) -> None:
    assert units.parse(text) == units.Quantity(value, dimension)


@pytest.mark.parametrize(
    ("value", "unit", "wanted"), [("5 mL", "µL", 5000), (7, "V", 7), ("7", "V", 7), ("2 s", "ms", 2000)]
)
def test_conversion_to_the_unit_of_a_parameter(value: object, unit: str, wanted: float) -> None:
    assert units.convert(value, unit) == wanted


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        ("5 min", "V", "is a time"),
        ("5 Volt", "V", "no unit"),
        ("fast", "V", "is not a number"),
        (True, "V", "is not a number"),
        (None, "V", "is not a number"),
        ([1], "V", "is not a number"),
        (float("nan"), "V", "not a finite"),
        (10**400, "V", "not a finite"),
        ("1e999 V", "V", "not a finite"),
        ("1e9999 V", "V", "no unit"),
        ("5 V", "", "without a unit"),
    ],
)
def test_what_is_no_quantity_is_refused(value: object, unit: str, said: str) -> None:
    with pytest.raises(units.UnitError, match=said):
        units.convert(value, unit)


@given(st.text(max_size=30))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        units.parse(text)
    except units.UnitError:
        return


@given(st.floats(-1e6, 1e6), st.sampled_from(["mV", "V", "kV"]))
def test_converting_there_and_back_keeps_a_number(value: float, unit: str) -> None:
    in_volts = units.convert(f"{value!r} {unit}", "V")
    assert units.convert(f"{in_volts!r} V", unit) == pytest.approx(value)
