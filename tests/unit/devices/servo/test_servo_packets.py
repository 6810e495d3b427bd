"""The simulator's packet codec against the SDK's own, and against broken streams."""

from __future__ import annotations

from dynamixel_sdk.protocol2_packet_handler import Protocol2PacketHandler  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from labkeeper_devices.simulators.servo.packets import (
    HEADER,
    Instruction,
    Packet,
    PacketReader,
    crc16,
    encode,
    encode_status,
    stuff,
    unstuff,
)

SDK = Protocol2PacketHandler()

# Bodies rich in the bytes that stuffing is about.
tricky = st.lists(st.sampled_from([0xFF, 0xFD, 0x00, 0x55, 0x01]), max_size=60).map(bytes)
bodies = st.binary(max_size=60) | tricky


def sdk_packet(servo_id: int, instruction: int, parameters: bytes) -> bytes:
    """What the SDK sends."""

    class Sink:
        is_using = False
        sent = b""

        def clearPort(self) -> None: ...  # noqa: N802

        def writePort(self, packet: list[int]) -> int:  # noqa: N802
            self.sent = bytes(packet)
            return len(packet)

    sink = Sink()
    length = len(parameters) + 3
    packet = [0, 0, 0, 0, servo_id, length & 0xFF, length >> 8, instruction, *parameters, 0, 0]
    SDK.txPacket(sink, packet)
    return sink.sent


@given(st.binary(max_size=200))
def test_checksum_is_the_sdks(data: bytes) -> None:
    assert crc16(data) == SDK.updateCRC(0, list(data), len(data))


def test_checksum_of_the_manuals_example() -> None:
    # ROBOTIS e-manual, protocol 2.0: ping of id 1.
    assert encode(1, Instruction.PING, b"") == bytes.fromhex("fffffd000103000119 4e")


@given(bodies)
def test_stuffing_is_undone(body: bytes) -> None:
    assert unstuff(stuff(body)) == body


@given(bodies)
def test_no_header_inside_a_stuffed_body(body: bytes) -> None:
    stuffed = stuff(body)
    start = stuffed.find(HEADER)
    while start >= 0:
        assert stuffed[start + 3 : start + 4] == b"\xfd"
        start = stuffed.find(HEADER, start + 1)


@given(st.integers(0, 252), bodies)
def test_packets_are_the_sdks(servo_id: int, parameters: bytes) -> None:
    assert encode(servo_id, Instruction.WRITE, parameters) == sdk_packet(servo_id, Instruction.WRITE, parameters)


@given(st.integers(0, 252), bodies, st.integers(1, 7), st.binary(max_size=5).filter(lambda b: b"\xff" not in b))
def test_reader_finds_packets_in_any_pieces(servo_id: int, parameters: bytes, piece: int, noise: bytes) -> None:
    stream = noise + encode(servo_id, Instruction.WRITE, parameters) + encode(servo_id, Instruction.PING, b"")
    reader, found = PacketReader(), list[Packet]()
    for index in range(0, len(stream), piece):
        found += reader.feed(stream[index : index + piece], now=1.0)
    assert [(p.servo_id, p.instruction, p.parameters, p.intact) for p in found] == [
        (servo_id, Instruction.WRITE, parameters, True),
        (servo_id, Instruction.PING, b"", True),
    ]


@given(st.binary(max_size=300))
def test_reader_survives_anything(data: bytes) -> None:
    reader = PacketReader()
    reader.feed(data, now=0.0)
    found = reader.feed(encode(1, Instruction.PING, b""), now=1.0)
    assert found[-1].intact
    assert found[-1].instruction == Instruction.PING


def test_arrival_is_that_of_the_first_byte() -> None:
    reader, packet = PacketReader(), encode(1, Instruction.PING, b"")
    assert reader.feed(packet[:4], now=10.0) == []
    assert reader.feed(packet[4:9], now=10.01) == []
    (first, second) = reader.feed(packet[9:] + packet, now=10.02)
    assert (first.at, second.at) == (10.0, 10.02)


def test_half_a_packet_is_forgotten_after_a_silence() -> None:
    reader, packet = PacketReader(), encode(1, Instruction.PING, b"")
    reader.feed(packet[:7], now=0.0)
    (found,) = reader.feed(packet, now=0.2)
    assert found.intact


def test_wrong_checksum_is_said() -> None:
    packet = bytearray(encode(1, Instruction.READ, b"\x84\x00\x04\x00"))
    packet[9] ^= 1
    (found,) = PacketReader().feed(bytes(packet), now=0.0)
    assert not found.intact


def test_status_carries_the_error() -> None:
    assert encode_status(1, 0x87)[7:9] == b"\x55\x87"
