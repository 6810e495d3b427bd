"""The kinds of group `labkeeper.dev`, version `v1alpha1`, one module each. `KINDS` lists them all."""

from labkeeper_api.kinds.base import LabObject, PrinterColumn
from labkeeper_api.kinds.labaction import LabAction
from labkeeper_api.kinds.labdevice import LabDevice
from labkeeper_api.kinds.labpool import LabPool
from labkeeper_api.kinds.labrun import LabRun
from labkeeper_api.kinds.labworkflow import LabWorkflow

KINDS: tuple[type[LabObject], ...] = (LabAction, LabDevice, LabPool, LabRun, LabWorkflow)
"""Every kind, in alphabetical order."""

BY_KIND: dict[str, type[LabObject]] = {kind.kind_name(): kind for kind in KINDS}
"""Every kind by its name."""

__all__ = [
    "BY_KIND",
    "KINDS",
    "LabAction",
    "LabDevice",
    "LabObject",
    "LabPool",
    "LabRun",
    "LabWorkflow",
    "PrinterColumn",
]
