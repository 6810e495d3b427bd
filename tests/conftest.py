"""What holds for all tests: on CI nothing that should run may be skipped."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

ALLOWED = "needs ../shared"
"""Real inputs of others are used where they are there, and they are not part of this repository."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where CI is set."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and ALLOWED not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped on CI: {report.longrepr}"
    return report
