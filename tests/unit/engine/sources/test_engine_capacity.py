from __future__ import annotations

import builtins
import io
import resource
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reclog.engine.sources.capacity import (
    BURST,
    MOST_PROCESSES,
    SPARE_FILES,
    Capacity,
    most_senders,
    shortages,
)

PLENTY = Capacity(somaxconn=4096, open_files=65536, processes=32768)


@pytest.fixture(autouse=True)
def own_limit() -> Iterator[None]:
    """Give the limit of open files back as it was."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def system_says(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Let the files of /proc and /sys say what the test wants; all others of them are missing."""
    real = builtins.open

    def say(files: dict[str, str]) -> None:
        def told(file: Any, *words: Any, **named: Any) -> Any:
            if str(file) in files:
                return io.StringIO(files[str(file)])
            if str(file).startswith(("/proc/", "/sys/")):
                raise FileNotFoundError(2, "No such file or directory", file)
            return real(file, *words, **named)

        monkeypatch.setattr(builtins, "open", told)

    return say


def test_it_is_bound_by_open_files() -> None:
    assert most_senders(Capacity(128, 1024, 10), process_each=False) == 1024 - SPARE_FILES


@pytest.mark.parametrize(
    ("open_files", "processes", "most"),
    [
        (65536, 3000, 1500),
        (1024, 32768, 1024 - SPARE_FILES),
        (65536, 1 << 22, MOST_PROCESSES),
        (65536, 1, 1),
        (65536, -5, 1),
        (64, 32768, 16),
        (3, 32768, 1),
    ],
)
def test_a_process_each_is_bound_by_files_and_processes(open_files: int, processes: int, most: int) -> None:
    assert most_senders(Capacity(4096, open_files, processes), process_each=True) == most


def test_a_system_with_room_is_not_warned_of() -> None:
    assert shortages(PLENTY, process_each=True) == []
    assert shortages(PLENTY, process_each=False) == []


@pytest.mark.parametrize("process_each", [True, False])
def test_a_short_queue_is_said_with_the_remedy(process_each: bool) -> None:
    assert shortages(PLENTY._replace(somaxconn=BURST), process_each) == []
    (said,) = shortages(PLENTY._replace(somaxconn=BURST - 1), process_each)
    assert "1999 connections" in said
    assert "sudo sysctl -w net.core.somaxconn=4096" in said


@pytest.mark.parametrize("process_each", [True, False])
def test_few_open_files_are_said_with_the_remedy(process_each: bool) -> None:
    enough = BURST + SPARE_FILES
    assert shortages(PLENTY._replace(open_files=enough), process_each) == []
    (said,) = shortages(PLENTY._replace(open_files=enough - 1), process_each)
    assert "1999 senders" in said
    assert "ulimit -n 4000" in said


def test_few_processes_matter_where_each_sender_takes_one() -> None:
    tight = PLENTY._replace(processes=2 * BURST - 2)
    assert shortages(PLENTY._replace(processes=2 * BURST), process_each=True) == []
    assert shortages(tight, process_each=False) == []
    (said,) = shortages(tight, process_each=True)
    assert "1999 senders" in said
    assert "--listener builtin" in said


def test_what_is_promised_and_what_is_warned_of_agree() -> None:
    for system in (PLENTY, Capacity(4096, 1024, 32768), Capacity(4096, 65536, 500)):
        for process_each in (True, False):
            assert (most_senders(system, process_each) < BURST) is bool(shortages(system, process_each))


def test_all_at_once_are_all_said() -> None:
    assert len(shortages(Capacity(128, 256, 100), process_each=True)) == 3


def test_the_limit_of_open_files_is_raised_as_far_as_allowed() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    system = Capacity.read()
    soft, still = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert still == hard
    assert soft == system.open_files
    assert soft == (min(hard, 65536) if hard != resource.RLIM_INFINITY else 65536)


def test_a_higher_limit_is_not_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100_000, 200_000))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: pytest.fail("must not be touched"))
    assert Capacity.read().open_files == 100_000


def test_no_limit_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert Capacity.read().open_files == 65536


def test_a_limit_that_can_not_be_raised_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 65536))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert Capacity.read().open_files == 256


#: What the system says of processes where no group of ours is below its bounds.
SYSTEM = {"/proc/sys/kernel/pid_max": "4194304\n", "/proc/sys/kernel/threads-max": "30000\n"}


def group(path: str, most: str, now: str) -> dict[str, str]:
    """Return what a control group (version 2) says of its processes."""
    return {f"/sys/fs/cgroup{path}/pids.max": f"{most}\n", f"/sys/fs/cgroup{path}/pids.current": f"{now}\n"}


@pytest.mark.parametrize(
    ("own", "groups", "most"),
    [
        ("0::/app\n", group("/app", "1000", "100"), 900),
        ("1:name=systemd:/x\n0::/app\n", group("/app", "max", "100"), 30000),
        # systemd limits user-1000.slice (TasksMax=33%) and leaves the sessions in it without one (cgroups(7):
        # "the number of processes … in the cgroup and its descendants").
        (
            "0::/slice/session\n",
            {**group("/slice/session", "max", "10"), **group("/slice", "500", "100")},
            400,
        ),
    ],
)
def test_the_system_and_each_group_is_asked(
    system_says: Callable[[dict[str, str]], None],
    monkeypatch: pytest.MonkeyPatch,
    own: str,
    groups: dict[str, str],
    most: int,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (65536, 65536))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    system_says({"/proc/sys/net/core/somaxconn": "128\n", "/proc/self/cgroup": own, **SYSTEM, **groups})
    assert Capacity.read() == Capacity(128, 65536, most)


def test_a_users_own_limit_binds_users_only(
    system_says: Callable[[dict[str, str]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    system_says({})
    monkeypatch.setattr(resource, "getrlimit", lambda _: (700, 65536))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert Capacity.read().processes == 700
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert Capacity.read().processes == 32768


def test_a_system_that_tells_nothing(system_says: Callable[[dict[str, str]], None]) -> None:
    system_says({})
    system = Capacity.read()
    assert system.somaxconn == 4096
    assert 0 < system.processes <= 32768


def test_what_the_system_says_is_sound() -> None:
    system = Capacity.read()
    assert min(system) > 0
    assert most_senders(system, process_each=True) <= most_senders(system, process_each=False)
