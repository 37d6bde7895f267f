"""What every daemon of reclog has: its folder, its lock, its readiness, its stop."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
from typing import Any, Callable

from ..errors import EngineError
from ..records import past
from ..records.counters import CountersFile, Facts
from ..records.events import EventLog, timestamp
from ..records.jsonfile import clear_unfinished, read_json, write_json
from ..records.names import BOOT, CONFIG, CONTROL, COUNTERS, EVENTS, HOLES, LOCK, STATE
from ..system.disk import DISK
from ..system.faultpoints import disk
from ..system.identity import Identity
from ..system.kernel import die_with_parent
from ..system.loop import Loop
from .control import Control
from .fields import C, Config

#: Seconds between two attempts to write the state, or the event log.
STATE_AGAIN = 1.0


class FolderTaken(EngineError):
    """Another daemon runs with the same folder."""

    cause = "folder-taken"
    is_final = True


class ConfigUnusable(EngineError):
    """What the daemon was told makes no sense."""

    cause = "config"
    is_final = True


class Daemon:
    """One process in the background with a folder of its own.

    The folder holds `config.json` (what to do, by whoever started it), `state.json` (who runs, while it
    does), `counters.json`, `events.log`, `holes.log` and `lock`.
    """

    def __init__(self, folder: str, ready_fd: int = -1, again: bool = False, role: str = "") -> None:
        self.folder = folder
        self._role = role
        #: Started again by a program, so that nobody reads an error: it is patient where it can be.
        self.again = again
        self.disk = disk()
        self.loop = Loop()
        self.log = EventLog(self.path(EVENTS), self.path(HOLES), self._owe)
        self._log_timer = self.loop.timer(self.log.pay)
        self.stopping = False
        #: Set when the same daemon is to be started again with what it was told.
        self.keep_config = False
        #: Set when why it ended is to be seen in `status`.
        self.keep_state = False
        self._told: dict[str, Any] = {}
        self._config = Config()
        self._state: dict[str, Any] = {}
        self._last_word: Facts = {}
        # What is to be on disk: by its name, what it holds.
        self._unsaved: dict[str, dict[str, Any]] = {}
        self._save_failed = False
        self._save_timer = self.loop.timer(self._save)
        self._facts: Callable[[], Facts] = dict
        self._adopt: Callable[[Any], None] = lambda config: None
        self._control = Control(self.loop, self.path(CONTROL), self._status, self._change)
        self._ready_fd = ready_fd
        self._lock_fd = -1

    def told(self, kind: type[C]) -> C:
        """Return what it is to do. Raises ConfigUnusable."""
        path = self.path(CONFIG)
        try:
            self._told = self._read_told(path)
            self._config = config = kind.from_json(self._told)
            return config
        except (OSError, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            raise ConfigUnusable(f"{path} can't be used ({said}): start the recording anew.") from error

    def _read_told(self, path: str) -> dict[str, Any]:
        if not self.again:
            return read_json(path)
        try:
            told = read_json(path)
        except (OSError, ValueError):  # it ended as it should; or the power went as this was written
            if not os.path.exists(self.path(BOOT)):
                raise
            told = read_json(self.path(BOOT))
            self._unsaved[CONFIG] = told
        for name in past.ONCE:
            told.pop(name, None)
        return told

    def path(self, name: str) -> str:
        """Return the path of a file of this daemon's folder."""
        return os.path.join(self.folder, name)

    def _counters(self) -> Facts:
        try:
            return read_json(self.path(COUNTERS))
        except (OSError, ValueError):
            return {}

    def lock(self) -> None:
        """Become the only daemon with this folder. Raises FolderTaken."""
        self._lock_fd = os.open(self.path(LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                return  # a file system without locks
            raise FolderTaken("This recording is being started or runs already: its status tells.") from error

    def listen_for_stop(self, foreground_of: int = 0) -> None:
        """Set `stopping` at SIGTERM, SIGINT or SIGHUP, and when our parent of that pid ends."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.loop.on_signal(number, self._stop)
        if foreground_of:
            die_with_parent(foreground_of, signal.SIGTERM)

    def show(
        self,
        changes: Callable[[], object],
        facts: Callable[[], Facts],
        adopt: Callable[[Any], None] = lambda config: None,
    ) -> None:
        """Let others see `facts`: in a file, whenever `changes` returns something else, and when they ask.

        `adopt` is called with the config when others have changed it; what it can't do, it refuses with an
        EngineError before it has done any of it.
        """
        self.counters = CountersFile(self.loop, self.path(COUNTERS), changes, facts, self.disk)
        self._facts = facts
        self._adopt = adopt

    def announce(self, **facts: Any) -> None:
        """Write who runs and what: from now on others can find this daemon."""
        identity = Identity.of(os.getpid())
        who = {"role": self._role, "identity": identity._asdict(), "started": timestamp()}
        self._state = {**self._told, **facts, **who}
        self._unsaved[STATE] = self._state
        self._save()
        try:
            self._control.open()
        except OSError as error:
            self.log.say("no control socket", reason=error.strerror or str(error))

    def stopped(self, **facts: Any) -> None:
        """Say how it ended: to the event log, and to all who wait for that."""
        self._last_word = facts
        self.log.say("stopped", **facts)
        self._control.end(facts)

    def _status(self) -> Facts:
        return {"state": self._state, "counters": self._facts()}

    def _change(self, wanted: Facts) -> Facts:
        """Have other settings, also when it is started again; return those that were others, or why not."""
        was = {**self._config.to_json(), **self._told}
        new = {name: value for name, value in wanted.items() if was.get(name) != value}
        try:
            config = self._config.changed(wanted)
            if new:
                self._adopt(config)
        except (EngineError, ValueError) as error:
            return {"error": str(error)}
        if new:
            self._config = config
            self._told.update(new)
            self._state.update(new)
            self._unsaved.update({CONFIG: self._told, STATE: self._state})
            self._save()
            self.log.say("settings changed", **new)
        return {"set": new, "notes": self._notes()}

    def _save(self) -> None:
        try:
            for name, value in list(self._unsaved.items()):
                write_json(self.path(name), value, disk=self.disk)
                del self._unsaved[name]
        except OSError as error:
            # On a full disk it works all the same: a relay must, for what it gives away makes room.
            if not self._save_failed:
                self.log.say("state not saved", reason=error.strerror or str(error))
            self._save_failed = True
            self._save_timer.at(self.loop.now() + STATE_AGAIN)
        else:
            self._save_failed = False

    def _owe(self) -> None:
        self._log_timer.at(self.loop.now() + STATE_AGAIN)

    def _notes(self) -> list[str]:
        """Return what is to be known by whoever has just started or changed it."""
        if not self._unsaved:
            return []
        return [f"{self.folder} is on a full disk: its history is not written until there is room."]

    def ready(self, **facts: Any) -> None:
        """Tell whoever started us that we do our work, and what is to be known of it (`notes`)."""
        self._answer({"ready": True, **facts, "notes": [*facts.get("notes", ()), *self._notes()]})

    def failed(self, cause: str, message: str) -> None:
        """Tell whoever started us why we can't; where that is a program, the log, too."""
        if self.again and cause != FolderTaken.cause:
            self.log.mention("not started", cause=cause, reason=message)
        self._answer({"ready": False, "cause": cause, "message": message})

    def leave(self) -> None:
        """Remove what only a running daemon has; what it was stays, and its event log."""
        config = () if self.keep_config else (CONFIG,)
        is_recording = any(self._told.get(name) for name in ("file", "files"))  # a relay is none
        if config and not self.keep_state and is_recording:
            counters = {**self._counters(), **self._last_word}
            past.keep(self.folder, self._state, counters, timestamp(), self.disk)
        if config:
            past.keep_for_boot(self.folder, self._told, self.disk)
        for name in () if self.keep_state else (STATE, COUNTERS, *config, LOCK):
            DISK.remove(self.path(name))
        clear_unfinished(self.folder)
        self._control.close()

    def _stop(self) -> None:
        self.stopping = True

    def _answer(self, answer: dict[str, Any]) -> None:
        if self._ready_fd >= 0:
            try:
                os.write(self._ready_fd, json.dumps(answer).encode("utf-8") + b"\n")
                os.close(self._ready_fd)
            except BrokenPipeError:
                pass  # nobody waits any more
            self._ready_fd = -1
