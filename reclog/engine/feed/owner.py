"""Whose spool it is: one collector's, kept on disk, so that no other gets it unasked."""

from __future__ import annotations

from ..records.events import Say, timestamp
from ..records.jsonfile import read_json, write_json
from ..system.disk import DISK, Disk


class Owner:
    """The name of the collector that has the spool, and since when."""

    def __init__(self, path: str, say: Say, disk: Disk = DISK) -> None:
        self.name = self.since = ""
        self._path = path
        self._say = say
        self._disk = disk
        self._unsaved = False
        try:
            saved = read_json(path, disk)
            if not isinstance(saved.get("name"), str) or not saved["name"]:
                raise ValueError("it names nobody")
            self.name, self.since = saved["name"], str(saved.get("since"))
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            say("state lost", of="owner", reason=str(error))

    def become(self, name: str) -> None:
        """Have `name` own it from now on."""
        if name != self.name:
            self.name, self.since = name, timestamp()
            self._save()

    def save_again(self) -> None:
        """Save what could not be saved."""
        if self._unsaved:
            self._save()

    def _save(self) -> None:
        try:
            write_json(self._path, {"name": self.name, "since": self.since}, sync=True, disk=self._disk)
        except OSError as error:
            if not self._unsaved:
                self._say("owner not saved", reason=error.strerror or str(error))
            self._unsaved = True  # a full disk
        else:
            self._unsaved = False
