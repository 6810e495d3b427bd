"""Quantities with units, such as canvases write them: `"-0.2V"`, `"10 mV"`, `"5 min"` (facts 1.7).

Parses text only; which unit a parameter is kept in is said by its field. Decimal inside, so that `"10 mV"` is exactly
`0.01`. Units are case-sensitive where case carries meaning (mV and MV).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal

from labkeeper_api.suggestions import did_you_mean

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?")

_SPELLINGS: dict[str, dict[str, str]] = {
    "voltage": {"V": "1", "kV": "1e3", "mV": "1e-3", "uV": "1e-6"},
    "current": {"A": "1", "mA": "1e-3", "uA": "1e-6", "nA": "1e-9"},
    "time": {
        "s": "1", "sec": "1", "second": "1", "seconds": "1", "ms": "1e-3", "us": "1e-6",
        "min": "60", "minute": "60", "minutes": "60", "h": "3600", "hour": "3600", "hours": "3600", "d": "86400",
    },
    "length": {"m": "1", "cm": "1e-2", "mm": "1e-3", "um": "1e-6"},
    "volume": {"L": "1e-3", "l": "1e-3", "mL": "1e-6", "ml": "1e-6", "uL": "1e-9", "ul": "1e-9"},
    "frequency": {"Hz": "1", "mHz": "1e-3", "kHz": "1e3", "MHz": "1e6"},
    "scan rate": {"V/s": "1", "mV/s": "1e-3", "uV/s": "1e-6"},
    "speed": {"m/s": "1", "cm/s": "1e-2", "mm/s": "1e-3"},
    "flow": {"L/s": "1e-3", "mL/s": "1e-6", "ml/s": "1e-6", "uL/s": "1e-9", "ul/s": "1e-9"},
    # Kept in degrees Celsius: no canvas writes kelvin, and its zero lies elsewhere.
    "temperature": {"degC": "1", "C": "1", "celsius": "1"},
    "count": {"": "1", "cycle": "1", "cycles": "1", "points": "1"},
}  # fmt: skip

UNITS: dict[str, tuple[str, Decimal]] = {
    unit: (dimension, Decimal(scale)) for dimension, units in _SPELLINGS.items() for unit, scale in units.items()
}
"""Unit -> dimension, and how many SI units (m3 for volumes, degrees Celsius for temperatures) one of it is."""


class UnitError(ValueError):
    """A text is no quantity, or one of another dimension."""


@dataclass(frozen=True)
class Quantity:
    """A number in SI units (m3, m, s, V, A, Hz; temperatures in degrees Celsius) and what it measures."""

    value: float
    dimension: str


def normal(unit: str) -> str:
    """One spelling for micro and degree signs: `µL` (either character) becomes `uL`."""
    return unit.replace("µ", "u").replace("μ", "u").replace("°C", "degC").replace("℃", "degC")


def dimension_of(unit: str) -> str:
    """What a unit measures. Raises UnitError for an unknown one."""
    return _scale(unit)[0]


def leading_number(text: str) -> str:
    """The number that a text begins with, `""` if it begins otherwise."""
    match = _NUMBER.match(text)
    return match.group() if match else ""


def parse(text: str) -> Quantity:
    """`"10 mV"` -> 0.01 of voltage. Raises UnitError."""
    number, unit = _split(text)
    dimension, scale = _scale(unit)
    return Quantity(_finite(number * scale, text), dimension)


def convert(value: object, unit: str) -> float:
    """A number that already is in `unit`, or a text with a unit, as a number in `unit`. Raises UnitError.

    A text without a unit is taken to be in `unit`, as the canvas's own forms do.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise UnitError(f"{_shown(value)} is not a number")
    if not isinstance(value, str):
        return _finite(value, value)
    number, given = _split(value)
    if not given:
        return _finite(number, value)
    dimension, scale = _scale(given)
    wanted, wanted_scale = _scale(unit)
    if dimension != wanted:
        of_what = f"a {wanted} in {unit}" if unit else "a number without a unit"
        raise UnitError(f"{_shown(value)} is a {dimension}, and this is {of_what}")
    return _finite(number * scale / wanted_scale, value)


def _split(text: str) -> tuple[Decimal, str]:
    plain = text.strip().replace("\u2212", "-")
    number = leading_number(plain)
    if not number:
        raise UnitError(f"{_shown(text)} is not a number")
    return Decimal(number), plain[len(number) :].strip()


def _scale(unit: str) -> tuple[str, Decimal]:
    known = UNITS.get(normal(unit))
    if known is None:
        raise UnitError(f"{_shown(unit)} is no unit that is known here; {did_you_mean(unit, [u for u in UNITS if u])}")
    return known


def _finite(number: Decimal | float, said: object) -> float:
    try:
        result = float(number)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise UnitError(f"{_shown(said)} is not a finite number")
    return result


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
