"""The parts of `dynamixel_sdk` that the plate hotel uses, with types. Behaviour is in `port` and `bus`.

The library has no type information. What is declared here for the type checker is what it does (dynamixel-sdk 3.8.4);
at run time its own classes are used. The serial port below it is `common.pyserial`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from labkeeper_devices.drivers.common.pyserial import Serial

    class PortHandler:
        """The SDK's serial port."""

        is_open: bool
        is_using: bool
        baudrate: int
        port_name: str
        ser: Serial | None
        tx_time_per_byte: float

        def __init__(self, port_name: str) -> None: ...
        def openPort(self) -> bool: ...  # noqa: N802
        def setBaudRate(self, baudrate: int) -> bool: ...  # noqa: N802
        def closePort(self) -> None: ...  # noqa: N802
        def clearPort(self) -> None: ...  # noqa: N802
        def readPort(self, length: int) -> bytes: ...  # noqa: N802
        def writePort(self, packet: list[int]) -> int: ...  # noqa: N802
        def setPacketTimeout(self, packet_length: int) -> None: ...  # noqa: N802
        def setPacketTimeoutMillis(self, msec: float) -> None: ...  # noqa: N802
        def isPacketTimeout(self) -> bool: ...  # noqa: N802

    class Protocol2PacketHandler:
        """The SDK's protocol 2.0."""

        def ping(self, port: PortHandler, dxl_id: int) -> tuple[int, int, int]: ...
        def reboot(self, port: PortHandler, dxl_id: int) -> tuple[int, int]: ...
        def readTxRx(  # noqa: N802
            self, port: PortHandler, dxl_id: int, address: int, length: int
        ) -> tuple[list[int], int, int]: ...
        def writeTxRx(  # noqa: N802
            self, port: PortHandler, dxl_id: int, address: int, length: int, data: list[int]
        ) -> tuple[int, int]: ...
        def writeTxOnly(  # noqa: N802
            self, port: PortHandler, dxl_id: int, address: int, length: int, data: list[int]
        ) -> int: ...

    COMM_SUCCESS: Final[int] = 0
    COMM_RX_TIMEOUT: Final[int] = -3001
else:
    from dynamixel_sdk import COMM_RX_TIMEOUT, COMM_SUCCESS, PortHandler
    from dynamixel_sdk.protocol2_packet_handler import Protocol2PacketHandler

BAUDRATES: Final = (
    *(9600, 19200, 38400, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000),
    *(2000000, 2500000, 3000000, 3500000, 4000000),
)
"""Speeds that the SDK's `PortHandler` accepts (its `getCFlagBaud`); it answers any other with False."""

__all__ = [
    "BAUDRATES",
    "COMM_RX_TIMEOUT",
    "COMM_SUCCESS",
    "PortHandler",
    "Protocol2PacketHandler",
]
