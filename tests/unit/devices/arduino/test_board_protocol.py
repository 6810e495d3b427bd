"""The board's lines, its firmware and its heat, without ports and clocks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkeeper_devices.simulators.arduino.board import Board
from labkeeper_devices.simulators.arduino.thermal import AMBIENT, GAIN, TAU, Base
from labkeeper_devices.wire.board_lines import LONGEST, LineReader, Reply, Request, seal, unseal

WORD = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-", min_size=1, max_size=8)
IDS = st.integers(1, 65535)


@given(IDS, WORD, st.lists(WORD, max_size=4))
def test_a_request_comes_back_as_it_was(number: int, verb: str, arguments: list[str]) -> None:
    request = Request(number, verb, tuple(arguments))
    assert Request.decode(request.encode()) == request


@given(IDS, st.dictionaries(WORD, WORD, max_size=4), st.sampled_from([("OK", ""), ("ERR", "STALL"), ("BUSY", "")]))
def test_a_reply_comes_back_as_it_was(number: int, values: dict[str, str], kind: tuple[str, str]) -> None:
    reply = Reply(number, kind[0], values, kind[1])  # type: ignore[arg-type]
    assert Reply.decode(reply.encode()) == reply


@given(IDS, st.integers(0, 30), st.integers(1, 255))
def test_a_line_with_a_wrong_byte_is_nothing(number: int, place: int, change: int) -> None:
    line = bytearray(Request(number, "PUMP", ("2", "4000")).encode())
    if place >= len(line) - 1:
        return
    line[place] ^= change
    decoded = Request.decode(bytes(line))
    assert decoded is None or line[place] in b"abcdefABCDEF", "only the case of the checksum's digits may differ"


@pytest.mark.parametrize("text", ["", "17", "x PUMP", "0 PUMP", "65536 PUMP", "17 MAYBE a=1", "17 OK nonsense"])
def test_what_is_no_reply(text: str) -> None:
    assert Reply.decode(seal(text)) is None


def test_lines_are_cut_wherever_they_arrive() -> None:
    data = seal("1 OK a=1") + seal("2 OK b=2")
    reader = LineReader()
    found = [line for byte in data for line in reader.feed(bytes([byte]))]
    assert [unseal(line) for line in found] == ["1 OK a=1", "2 OK b=2"]
    assert reader.feed(b"x" * (LONGEST + 1)) == []
    assert [unseal(line) for line in reader.feed(seal("3 BUSY"))] == ["3 BUSY"], "what was too long is gone"


def board() -> Board:
    return Board([1.0, 2.0], baths=1, bases=1)


def test_one_motion_at_a_time() -> None:
    made = board()
    assert made.handle(Request(1, "PUMP", ("1", "3000")), 0.0) == []
    assert made.handle(Request(2, "SONIC", ("0", "10")), 1.0) == [Reply(2, "BUSY")]
    assert made.next_due() == 3.0
    assert made.advance(3.0) == [Reply(1, "OK", {"done": "3000"})]
    assert made.pumped_ml == [0.0, 6.0]
    assert made.next_due() is None


def test_a_reply_to_a_stop_comes_after_that_of_the_motion() -> None:
    made = board()
    made.handle(Request(1, "PUMP", ("0", "3000")), 0.0)
    made.handle(Request(2, "HEAT", ("0", "40")), 0.5)
    ended, stopped = made.handle(Request(3, "STOP"), 1.0)
    assert (ended.id, ended.code, ended.values) == (1, "STOPPED", {"done": "1000"})
    assert stopped == Reply(3, "OK")
    assert made.pumped_ml[0] == pytest.approx(1.0)
    assert made.heated[0].setpoint is None


@pytest.mark.parametrize("looks", [1, 7, 100])
def test_what_is_pumped_does_not_depend_on_how_often_it_is_looked_at(looks: int) -> None:
    made = board()
    made.handle(Request(1, "PUMP", ("1", "2000")), 0.0)
    for look in range(looks):
        made.advance(1.9 * look / looks)
    made.stall(1, 1.9, on=True)
    assert made.advance(5.0)[0].kind == "OK", "it ended before half a second without a turn had passed"
    assert made.pumped_ml[1] == pytest.approx(3.8)


def test_a_stall_ends_the_motion_after_half_a_second() -> None:
    made = board()
    made.handle(Request(1, "PUMP", ("1", "5000")), 0.0)
    made.stall(1, 1.0, on=True)
    assert made.next_due() == 1.5
    assert made.advance(4.0) == [Reply(1, "ERR", {"done": "1500"}, "STALL")]
    assert made.pumped_ml[1] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (Request(1, "DANCE"), "SYNTAX"),
        (Request(1, "PUMP", ("0",)), "SYNTAX"),
        (Request(1, "PUMP", ("0", "-5")), "SYNTAX"),
        (Request(1, "PUMP", ("2", "5")), "NUMBER"),
        (Request(1, "PUMP", ("0", "0")), "RANGE"),
        (Request(1, "SONIC", ("1", "5")), "NUMBER"),
        (Request(1, "HEAT", ("0", "300")), "RANGE"),
        (Request(1, "HEAT", ("0", "warm")), "SYNTAX"),
        (Request(1, "HEAT", ("1", "30")), "NUMBER"),
        (Request(1, "COOL", ()), "SYNTAX"),
    ],
)
def test_what_the_firmware_refuses(request_: Request, code: str) -> None:
    assert board().handle(request_, 0.0) == [Reply(1, "ERR", code=code)]


def test_a_base_warms_up_exponentially_and_stays() -> None:
    base = Base(0.0)
    base.hold(60.0, 0.0)
    end = AMBIENT + GAIN
    assert base.at(TAU / 10) == pytest.approx(end - GAIN * math.exp(-0.1))
    there = TAU * math.log(GAIN / (end - 60))
    assert base.at(there) == pytest.approx(60.0)
    assert base.at(10 * there) == 60.0
    base.hold(None, 10 * there)
    assert base.at(10 * there + TAU) == pytest.approx(AMBIENT + (60 - AMBIENT) / math.e)


def test_a_setpoint_below_the_surroundings_is_never_reached() -> None:
    base = Base(0.0)
    base.hold(15.0, 0.0)
    assert base.at(100 * TAU) == pytest.approx(AMBIENT)


def test_the_past_is_kept() -> None:
    base = Base(0.0)
    base.warm(50.0, 10.0)
    base.run_away(20.0, on=True)
    history = dict(base.history(30.0, 5.0))
    assert history[5.0] == pytest.approx(AMBIENT)
    assert history[10.0] == 50.0
    assert history[15.0] < 50.0 < history[30.0] + 5
    assert history[30.0] > history[20.0]
