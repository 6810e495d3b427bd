"""Waiting, processes and the check for leaks do what the other tests rely on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.support import leaks
from tests.support.processes import ManagedProcess, ProcessFailedError, is_alive, wait_gone
from tests.support.waiting import NotInTimeError, eventually, eventually_async

REPOSITORY = Path(__file__).resolve().parents[3]


def shell(tmp_path: Path, script: str) -> ManagedProcess:
    return ManagedProcess("script", ["sh", "-c", script], log=tmp_path / "script.log")


class TestEventually:
    def test_gives_the_first_true_value(self) -> None:
        values = iter([0, "", 7, 8])
        assert eventually(lambda: next(values), 5, 0.001) == 7

    def test_takes_an_error_for_not_yet(self) -> None:
        answers = iter([1, 0])
        assert eventually(lambda: 1 - 1 // (1 - next(answers)) == 0, 5, 0.001)

    def test_says_what_the_last_value_was(self) -> None:
        with pytest.raises(NotInTimeError, match=r"the flow ran did not hold within 0.* s; .* gave the value \[\]"):
            eventually(list, 0.05, 0.01, what="the flow ran")

    def test_says_what_the_last_error_was(self) -> None:
        with pytest.raises(NotInTimeError, match="gave KeyError: 'state'") as failed:
            eventually(lambda: dict[str, str]()["state"], 0.05, 0.01)
        assert isinstance(failed.value.__cause__, KeyError)

    def test_raises_other_errors_at_once(self) -> None:
        with pytest.raises(ZeroDivisionError):
            eventually(lambda: 1 // 0, 60, retry_on=(KeyError,))

    async def test_lets_the_event_loop_go_on(self) -> None:
        done = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, done.set)

        async def state() -> bool:
            return done.is_set()

        assert await eventually_async(state, 5, 0.01)
        with pytest.raises(NotInTimeError, match="gave the value None"):
            await eventually_async(lambda: asyncio.sleep(0), 0.05, 0.01)


class TestManagedProcess:
    def test_is_ready_when_nothing_is_missing(self, tmp_path: Path) -> None:
        process = shell(tmp_path, f"sleep 0.2; touch {tmp_path}/ready; exec sleep 60")
        process.start()
        process.wait_ready(lambda: "" if (tmp_path / "ready").exists() else "no file", 10)
        assert process.running
        assert os.getsid(process.pid) == process.pid
        assert process.stop() == -signal.SIGTERM
        assert not process.running

    def test_shows_its_log_when_it_ends_early(self, tmp_path: Path) -> None:
        process = shell(tmp_path, "echo out of plates; exit 4")
        process.start()
        with pytest.raises(ProcessFailedError, match=r"ended by itself with exit code 4(.|\n)*out of plates"):
            process.wait_ready(lambda: "an answer", 10)

    def test_shows_what_is_missing_when_time_is_up(self, tmp_path: Path) -> None:
        process = shell(tmp_path, "exec sleep 60")
        process.start()
        with pytest.raises(ProcessFailedError, match=r"is not ready after 0.* s: the door is open"):
            process.wait_ready(lambda: "the door is open", 0.2)
        process.kill()

    def test_shows_only_the_log_since_its_last_start(self, tmp_path: Path) -> None:
        process = shell(tmp_path, f"echo run; echo >> {tmp_path}/count; wc -l < {tmp_path}/count")
        for run in ("1", "2"):
            process.start()
            eventually(lambda: not process.running)
            assert process.log_tail().split() == ["run", run]
        assert process.stop() == 0

    def test_kills_what_does_not_listen_and_its_children(self, tmp_path: Path) -> None:
        process = shell(tmp_path, "trap '' TERM; sleep 60 & sleep 61 & echo up; wait; sleep 62")
        process.start()
        process.wait_ready(lambda: "" if "up" in process.log_tail() else "a word", 10)
        children = eventually(lambda: process.handle.children())
        assert process.stop(grace=0.3) == -signal.SIGKILL
        assert wait_gone(children, 0) == []

    def test_stops_while_frozen(self, tmp_path: Path) -> None:
        process = shell(tmp_path, "exec sleep 60")
        process.start()
        process.freeze()
        assert process.handle.status() == psutil.STATUS_STOPPED
        assert process.stop(grace=5) == -signal.SIGTERM

    def test_outlives_the_thread_that_started_it(self, tmp_path: Path) -> None:
        process = shell(tmp_path, "exec sleep 60")
        thread = threading.Thread(target=process.start)
        thread.start()
        thread.join()
        time.sleep(0.2)
        assert process.running
        process.stop()

    def test_names_a_program_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ProcessFailedError, match="there is no program no-such-program"):
            ManagedProcess("script", ["no-such-program"], log=tmp_path / "log").start()

    @pytest.mark.parametrize("end", ["sys.exit(0)", "os.kill(os.getpid(), signal.SIGTERM)", "os._exit(1)"])
    def test_ends_with_its_parent(self, tmp_path: Path, end: str) -> None:
        script = (
            "import os, signal, sys; from pathlib import Path; from tests.support.processes import ManagedProcess\n"
            "process = ManagedProcess('p', ['sleep', '60'], log=Path(sys.argv[1]))\n"
            f"process.start(); print(process.pid, flush=True); sys.stdin.readline(); {end}"
        )
        with subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "log")],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as parent:
            assert parent.stdout is not None
            assert parent.stdin is not None
            child = psutil.Process(int(parent.stdout.readline()))
            assert is_alive(child)
            parent.stdin.close()
        assert wait_gone([child], 10.0) == []


class TestLeaks:
    def test_a_process_is_named_and_killed(self) -> None:
        before = leaks.Snapshot.take()
        with subprocess.Popen(["sleep", "60"]) as leaked:
            with pytest.raises(leaks.LeakError, match=rf"process {leaked.pid}: sleep 60"):
                leaks.check(before, set, patience=0)
            assert leaked.wait(10) == -signal.SIGKILL

    def test_a_process_that_nobody_waited_for_is_named(self) -> None:
        before = leaks.Snapshot.take()
        with subprocess.Popen(["true"]), pytest.raises(leaks.LeakError, match="ended, but nobody waited for it"):
            leaks.check(before, set, patience=0.5)

    def test_a_thread_is_named(self) -> None:
        before, end = leaks.Snapshot.take(), threading.Event()
        thread = threading.Thread(target=end.wait, name="observer", daemon=True)
        thread.start()
        with pytest.raises(leaks.LeakError, match=r"thread observer \(daemon\)"):
            leaks.check(before, set, patience=0)
        end.set()
        leaks.check(before, set)
        thread.join()

    def test_what_is_to_last_is_no_leak(self) -> None:
        before = leaks.Snapshot.take()
        with subprocess.Popen(["sleep", "60"]) as lasting:
            leaks.check(before, lambda: {lasting.pid}, patience=0)
            lasting.kill()

    def test_a_leaking_test_fails_and_the_next_does_not(self, tmp_path: Path) -> None:
        (tmp_path / "test_leaks.py").write_text(
            "import subprocess\n"
            "def test_leaks(): globals()['kept'] = subprocess.Popen(['sleep', '60'])\n"
            "def test_tidy(): pass\n"
        )
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "tests.integration.conftest", "-p", "no:cacheprovider", tmp_path],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "2 passed, 1 error" in ran.stdout
        assert "the test left running:\n" in ran.stdout
        assert "ERROR test_leaks.py::test_leaks - tests.support.leaks.LeakError" in ran.stdout
