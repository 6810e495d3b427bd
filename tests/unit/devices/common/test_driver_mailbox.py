"""Answers by command id, read by whoever waits."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest

from labkeeper_api.errors import Interrupted
from labkeeper_devices.drivers.common.mailbox import Mailbox


class Post:
    """What arrives, one delivery for each time that somebody reads."""

    def __init__(self, *deliveries: list[tuple[int, str]]) -> None:
        self._deliveries = list(deliveries)

    def receive(self, _: float) -> Iterable[tuple[int, str]]:
        return self._deliveries.pop(0) if self._deliveries else []


def test_answers_find_who_asked() -> None:
    box: Mailbox[str] = Mailbox(Post([(2, "two")], [(1, "one")]).receive)
    box.expect(1)
    box.expect(2)
    assert (box.take(1, 5.0), box.take(2, 5.0)) == ("one", "two")


def test_what_nobody_expects_is_dropped() -> None:
    box: Mailbox[str] = Mailbox(Post([(7, "late")], [(8, "right")]).receive)
    box.expect(8)
    assert box.take(8, 5.0) == "right"
    box.expect(7)
    assert box.take(7, 0.01) is None


def test_what_was_given_up_is_not_kept() -> None:
    box: Mailbox[str] = Mailbox(Post([], [(1, "late")]).receive)
    box.expect(1)
    assert box.take(1, 0.0) is None
    box.forget(1)
    box.expect(2)
    assert box.take(2, 0.01) is None
    assert box.take(1, 0.0) is None


def test_a_wait_is_ended_by_its_check() -> None:
    def check() -> None:
        raise Interrupted("cancel")

    box: Mailbox[str] = Mailbox(Post().receive)
    box.expect(1)
    with pytest.raises(Interrupted):
        box.take(1, 60.0, check)


def test_what_goes_wrong_with_reading_reaches_who_reads() -> None:
    def broken(_: float) -> Iterable[tuple[int, str]]:
        raise OSError("gone")

    box: Mailbox[str] = Mailbox(broken)
    box.expect(1)
    with pytest.raises(OSError, match="gone"):
        box.take(1, 5.0)
    with pytest.raises(OSError, match="gone"):
        box.take(1, 5.0)


def test_two_threads_wait_at_once() -> None:
    arrived = threading.Event()

    def receive(seconds: float) -> Iterable[tuple[int, str]]:
        return [(1, "one"), (2, "two")] if arrived.wait(seconds) else []

    box: Mailbox[str] = Mailbox(receive)
    box.expect(1)
    box.expect(2)
    found: list[str | None] = []
    threads = [threading.Thread(target=lambda n=n: found.append(box.take(n, 30.0))) for n in (1, 2)]
    for thread in threads:
        thread.start()
    arrived.set()
    for thread in threads:
        thread.join(30.0)
    assert sorted(map(str, found)) == ["one", "two"]
