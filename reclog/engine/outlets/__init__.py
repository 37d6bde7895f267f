"""What takes a store's bytes by offset. May import feed, stores, records, system."""

from __future__ import annotations

from typing import Callable, Dict

from ..records.events import Say
from ..stores.rotation import Rotating
from ..system.disk import Disk
from ..system.loop import Loop
from .landing import Landing
from .outlet import Outlet

#: By name, what makes one of: the daemon's loop, the path that it fills, the daemon's folder, who is told,
#: the disk, and when what it fills is cut.
OUTLETS: Dict[str, Callable[[Loop, str, str, Say, Disk, Rotating], Outlet]] = {"file": Landing}
