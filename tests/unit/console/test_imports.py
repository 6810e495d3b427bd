"""Every module of the rooms can be imported, with warnings as errors: a name that is gone shows here first."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import labkeeper
import labkeeper_api
import labkeeper_operator

MODULES = [
    module.name
    for package in (labkeeper_api, labkeeper_operator, labkeeper)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("__main__")
]


NEED_NO_PREFECT = [
    "labkeeper_devices.agent.agent",
    "labkeeper_devices.agent.launch",
    "labkeeper.canvas.devices",
    "labkeeper.cli",
    "labkeeper.embedded.standalone",
    "labkeeper.opentrons_functions",
    "labkeeper.session_plan",
]
"""Importing Prefect takes longer than all the rest of a start; what works without it must not wait for it."""


@pytest.mark.parametrize("name", NEED_NO_PREFECT)
def test_what_needs_no_prefect_does_not_import_it(name: str) -> None:
    program = f"import sys, {name}; sys.exit('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=120).returncode == 0


@pytest.mark.parametrize("name", MODULES)
def test_a_module_can_be_imported(name: str) -> None:
    assert importlib.import_module(name).__doc__
