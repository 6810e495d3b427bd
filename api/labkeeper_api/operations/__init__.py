"""Driver operations as data: names, parameters and safety, one module per driver.

Both sides build on these: the agent carries an operation out, the catalog offers it as a flow. `OPERATIONS` holds all.
"""

from labkeeper_api.operations import arduino, plate_resort, squidstat
from labkeeper_api.operations.spec import NoParameters, OperationSpec

OPERATIONS: dict[str, OperationSpec] = {
    spec.key: spec
    for spec in (
        *plate_resort.OPERATIONS,
        *arduino.OPERATIONS,
        *squidstat.OPERATIONS,
    )
}
"""Every operation of every driver by its key, `driver.operation`."""

__all__ = ["OPERATIONS", "NoParameters", "OperationSpec"]
