"""Guesses what was probably meant. Only for messages, never for decisions."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, else the known words, else nothing."""
    words = list(known)
    lower = {word.lower(): word for word in words}
    close = get_close_matches(given.lower(), lower, n=1, cutoff=0.7)
    if close:
        return f"did you mean {lower[close[0]]!r}?"
    return f"known here: {', '.join(words)}" if words else ""
