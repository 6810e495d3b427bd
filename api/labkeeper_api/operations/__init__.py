"""Driver operations as data: names, parameters and safety, one module per driver.

Both sides build on these: the agent carries an operation out, the catalog offers it as a flow. `OPERATIONS` holds all.
"""

from labkeeper_api.operations import arduino, ot2, plate_resort, squidstat
from labkeeper_api.operations.spec import NoParameters, OperationSpec

OPERATIONS: dict[str, OperationSpec] = {
    spec.key: spec for driver in (plate_resort, ot2, arduino, squidstat) for spec in driver.OPERATIONS
}
"""Every operation of every driver by its key, `driver.operation`."""

__all__ = ["OPERATIONS", "NoParameters", "OperationSpec"]
