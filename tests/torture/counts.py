"""What a torture run counts."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Counts:
    """`tried` actions; of these `lost` without a word, `doubled`, and `held` until a person said how they ended."""

    tried: int = 0
    lost: int = 0
    doubled: int = 0
    held: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing was lost and nothing doubled."""
        return self.lost == 0 and self.doubled == 0

    def __str__(self) -> str:
        return f"tried={self.tried} lost={self.lost} doubled={self.doubled} held={self.held}"
