"""Where the examples of this checkout are."""

from __future__ import annotations

from pathlib import Path

import typer


def example(name: str) -> Path:
    """The example beside us: below the working directory, else in the checkout that this command runs from."""
    checkout = Path(__file__).resolve().parents[3]
    for root in (Path.cwd(), checkout):
        if (root / "examples" / name).is_dir():
            return root / "examples" / name
    raise typer.BadParameter(f"there is no examples/{name} here: give the file or folder", param_hint="FILE")
