"""Every module of the rooms can be imported, with warnings as errors: a name that is gone shows here first."""

from __future__ import annotations

import importlib
import pkgutil

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


@pytest.mark.parametrize("name", MODULES)
def test_a_module_can_be_imported(name: str) -> None:
    assert importlib.import_module(name).__doc__
