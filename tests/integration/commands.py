"""`inv` and `fab` without the start of an interpreter for each call: one process imports them and forks.

What runs is the same program in a process of its own, with its own environment, folder and descriptors. What
this does not show is its start, which tests of the terminal, the README and the installed program do. An
interpreter imports for 0.3 s before a command does anything, and the tests run some two thousand.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CLONE_NEWNET = 0x40000000


@functools.cache
def server() -> str:
    """Return the address of the process that forks, which is started once."""
    address = f"\0reclog-commands-{os.getpid()}"
    ready, child_ready = socket.socketpair()
    with ready, child_ready:
        command = [sys.executable, __file__, address[1:], str(child_ready.fileno())]
        process = subprocess.Popen(command, cwd=ROOT, pass_fds=[child_ready.fileno()], start_new_session=True)
        child_ready.close()
        assert ready.recv(1) == b".", "the process that forks commands did not start"
    atexit.register(process.kill)
    return address


def call(
    argv: Sequence[str], cwd: Path, env: Mapping[str, str], network: str = "", timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run `inv` or `fab` in a fork; `network` names a network namespace. Raises TimeoutExpired."""
    outputs = [os.memfd_create(name) for name in ("stdout", "stderr")]
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(server())
            words = json.dumps({"argv": [*argv], "cwd": str(cwd), "env": dict(env), "network": network})
            socket.send_fds(sock, [b"."], [nothing, *outputs])
            sock.sendall(words.encode() + b"\n")
            sock.settimeout(timeout)
            with sock.makefile("r") as answer:
                pid = int(answer.readline())
                try:
                    code = int(answer.readline())
                except TimeoutError:
                    os.kill(pid, signal.SIGKILL)
                    raise subprocess.TimeoutExpired([*argv], timeout) from None
        return subprocess.CompletedProcess([*argv], code, *(_read(fd) for fd in outputs))
    finally:
        for fd in (nothing, *outputs):
            os.close(fd)


def _read(fd: int) -> str:
    os.lseek(fd, 0, os.SEEK_SET)
    with open(fd, encoding="utf-8", closefd=False) as file:
        return file.read()


# -- in the process that forks ------------------------------------------------------------------------


def serve(address: str, ready: int) -> None:
    """Fork for each that connects, until killed, or until the tests that it serves end."""
    sys.path.insert(0, str(ROOT))
    from reclog.engine.system.kernel import die_with_parent

    die_with_parent(os.getppid())
    for name in ("fabric.main", "invoke.main", *_modules()):
        with contextlib.suppress(ImportError):  # an extra is not here
            importlib.import_module(name)
    gc.freeze()  # a collection in a fork would have it copy what it shares
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks that serve
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0{address}")
        listening.listen(64)
        os.write(ready, b".")
        os.close(ready)
        while True:
            sock, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _serve_one(sock)
            sock.close()


def _modules() -> list[str]:
    """Return the names of reclog's modules: a task imports what it needs in its body.

    But of what `inv agent` needs, which takes as long as all others.
    """
    found = (path.relative_to(ROOT).with_suffix("").parts for path in (ROOT / "reclog").rglob("*.py"))
    names = {".".join(parts) for parts in found if not parts[-1].startswith("__")}
    return sorted(names - {"reclog.look.tools"})


def _serve_one(sock: socket.socket) -> None:
    """Run what is asked for in one more fork, and tell its pid and its exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, fds, _, _ = socket.recv_fds(sock, 1, 3)
    with sock.makefile("r") as asked:
        words = json.loads(asked.readline())
    pid = os.fork()
    if pid == 0:
        sock.close()
        for number, fd in enumerate(fds):
            os.dup2(fd, number)
            os.close(fd)
        _run(words)
    for fd in fds:
        os.close(fd)
    with contextlib.suppress(BrokenPipeError):
        sock.sendall(b"%d\n" % pid)
        _, status = os.waitpid(pid, 0)
        sock.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _run(words: dict[str, Any]) -> None:
    if words["network"]:
        with open(f"/run/netns/{words['network']}", "rb") as file:
            assert ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) == 0
    os.chdir(words["cwd"])
    os.environ.clear()
    os.environ.update(words["env"])
    sys.argv = words["argv"]
    sys.path[0] = str(Path(sys.argv[0]).parent)  # as for any script
    program = {"inv": "invoke.main", "fab": "fabric.main"}[Path(sys.argv[0]).name]
    code = 1
    try:
        importlib.import_module(program).program.run()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
