"""Break conditions of loops, such as `voltage < -1.5` or `current > 10 mA and time >= 5 min`: parsed, never `eval`ed.

Names, numbers with units, comparisons (also chained), `and`, `or`, `not`, parentheses; nothing else. Dimensions are
checked while parsing, so that `voltage < 5 min` is refused before anything runs. An error names its column, from 1.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from labkeeper_api.suggestions import did_you_mean
from labkeeper_flows.canvas import units

MAX_LENGTH = 500
MAX_DEPTH = 40

NAMES: dict[str, str] = {
    "voltage": "voltage",
    "current": "current",
    "time": "time",
    "elapsed": "time",
    "elapsed_time": "time",
    "temperature": "temperature",
    "cycle": "count",
}
"""What a condition may speak of, and its dimension: the last measured voltage (V) and current (A), the time since the
loop began (s), the last temperature (degrees Celsius), the cycle that has just ended (from 1)."""

TIME_NAMES = frozenset(name for name, dimension in NAMES.items() if dimension == "time")

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_WORDS = {"and", "or", "not"}
_SYMBOLS = {"&&": "and", "||": "or", "!": "not"}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?:\s*(?!(?:and|or|not)\b)[A-Za-zµμ°℃]+(?:/s)?)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z_0-9]*)|(?P<symbol><=|>=|==|!=|&&|\|\||[<>!()+-]))"
)


class ExpressionError(ValueError):
    """A condition cannot be understood; `column` counts from 1."""

    def __init__(self, column: int, message: str) -> None:
        self.column = column
        self.message = message
        super().__init__(f"column {column}: {message}")


class ValueMissing(LookupError):
    """A condition asks for what nobody has measured yet."""


@dataclass(frozen=True)
class Number:
    """A number in SI units."""

    value: float
    dimension: str
    column: int

    def number(self, values: Mapping[str, float]) -> float:
        """The number itself."""
        del values
        return self.value


@dataclass(frozen=True)
class Name:
    """Something measured."""

    name: str
    dimension: str
    column: int

    def number(self, values: Mapping[str, float]) -> float:
        """What was measured. Raises ValueMissing."""
        if self.name not in values:
            raise ValueMissing(f"the condition asks for {self.name}, and nothing has measured it")
        return values[self.name]


Operand = Number | Name


@dataclass(frozen=True)
class Comparison:
    """`a < b < c` means `a < b and b < c`, as in mathematics."""

    operands: tuple[Operand, ...]
    signs: tuple[str, ...]

    def holds(self, values: Mapping[str, float]) -> bool:
        """Whether each neighbouring pair compares as said."""
        numbers = [operand.number(values) for operand in self.operands]
        return all(_COMPARISONS[sign](*numbers[at : at + 2]) for at, sign in enumerate(self.signs))


@dataclass(frozen=True)
class Junction:
    """`and` (all) or `or` (any) of several conditions."""

    word: str
    parts: tuple[Condition, ...]

    def holds(self, values: Mapping[str, float]) -> bool:
        """All parts for `and`, one of them for `or`."""
        combined = all if self.word == "and" else any
        return combined(part.holds(values) for part in self.parts)


@dataclass(frozen=True)
class Negation:
    """`not` a condition."""

    part: Condition

    def holds(self, values: Mapping[str, float]) -> bool:
        """Whether the part does not hold."""
        return not self.part.holds(values)


Condition = Comparison | Junction | Negation


@dataclass(frozen=True)
class Expression:
    """A condition that was understood: its text, and the names it asks for."""

    text: str
    root: Condition
    names: frozenset[str]

    def holds(self, values: Mapping[str, float]) -> bool:
        """Evaluate with values in SI units. Raises ValueMissing for a name that is not among them."""
        return self.root.holds(values)


def parse(text: str, names: Mapping[str, str] = NAMES) -> Expression:
    """Understand a condition. Raises ExpressionError with the column."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(MAX_LENGTH, f"a condition has at most {MAX_LENGTH} characters")
    return _Parser(text, names).whole()


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    column: int


def _tokens(text: str) -> list[_Token]:
    found = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            column = position + len(text[position:]) - len(text[position:].lstrip()) + 1
            sign = text[column - 1]
            hint = "; equality is written ==" if sign == "=" else ""
            raise ExpressionError(column, f"{sign!r} has no place in a condition{hint}")
        kind = str(match.lastgroup)
        word = match.group(kind)
        column = match.start(kind) + 1
        if kind == "name" and word.lower() in _WORDS:
            kind, word = "word", word.lower()
        elif word in _SYMBOLS:
            kind, word = "word", _SYMBOLS[word]
        found.append(_Token(kind, word, column))
        position = match.end()
    return [*found, _Token("end", "", end + 1)]


class _Parser:
    """Recursive descent: or, and, not, comparison, operand."""

    def __init__(self, text: str, names: Mapping[str, str]) -> None:
        self._text = text
        self._known = names
        self._asked: set[str] = set()
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def whole(self) -> Expression:
        root = self._junction("or")
        if self._now.kind != "end":
            raise ExpressionError(self._now.column, f"{self._now.text!r} is unexpected here")
        return Expression(self._text, root, frozenset(self._asked))

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._now
        self._at += 1
        return token

    def _takes(self, text: str) -> bool:
        if self._now.kind in ("word", "symbol") and self._now.text == text:
            self._at += 1
            return True
        return False

    def _junction(self, word: str) -> Condition:
        parts = [self._junction("and") if word == "or" else self._negation()]
        while self._takes(word):
            parts.append(self._junction("and") if word == "or" else self._negation())
        return parts[0] if len(parts) == 1 else Junction(word, tuple(parts))

    def _negation(self) -> Condition:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(self._now.column, "the condition is nested too deeply")
        try:
            if self._takes("not"):
                return Negation(self._negation())
            if self._takes("("):
                inner = self._junction("or")
                if not self._takes(")"):
                    raise ExpressionError(self._now.column, "a closing parenthesis is missing")
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Comparison:
        operands = [self._operand()]
        signs = []
        while self._now.kind == "symbol" and self._now.text in _COMPARISONS:
            signs.append(self._take().text)
            operands.append(self._operand())
            self._same_dimension(operands[-2], operands[-1])
        if not signs:
            raise ExpressionError(self._now.column, "a comparison is missing, such as < or >=")
        return Comparison(tuple(operands), tuple(signs))

    def _operand(self) -> Operand:
        negative = self._takes("-")
        if not negative:
            self._takes("+")
        token = self._take()
        if token.kind == "number":
            return self._number(token, negative)
        if token.kind == "name" and not negative:
            if token.text not in self._known:
                hint = did_you_mean(token.text, self._known)
                raise ExpressionError(token.column, f"{token.text!r} is nothing that is measured; {hint}")
            self._asked.add(token.text)
            return Name(token.text, self._known[token.text], token.column)
        said = repr(token.text) if token.text else "nothing"
        raise ExpressionError(token.column, f"a name or a number is expected here, not {said}")

    def _number(self, token: _Token, negative: bool) -> Number:
        try:
            quantity = units.parse(token.text)
        except units.UnitError as error:
            raise ExpressionError(token.column, str(error)) from error
        return Number(-quantity.value if negative else quantity.value, quantity.dimension, token.column)

    def _same_dimension(self, left: Operand, right: Operand) -> None:
        # A bare number is in the SI unit of what it is compared with: `voltage < -1.5`.
        bare = any(isinstance(side, Number) and side.dimension == "count" for side in (left, right))
        if not bare and left.dimension != right.dimension:
            raise ExpressionError(right.column, f"a {left.dimension} cannot be compared with a {right.dimension}")
