"""The daemons that speak to a stream, run as the engine's are: python3 reclog/stream ROLE --folder DIR …"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if not __package__:  # run as a folder: it is the package beside us that is meant, not one that is installed
    _root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.path.insert(0, _root)
    import reclog.stream  # noqa: F401

    sys.path.remove(_root)  # it may be a checkout: nothing else is to be found there

from reclog.engine.__main__ import main

if TYPE_CHECKING:
    from reclog.engine.__main__ import Role
    from reclog.engine.daemons.daemon import Daemon


def _publisher(daemon: Daemon) -> Any:
    from reclog.stream.asked import PublisherConfig
    from reclog.stream.publisher import Publisher

    return Publisher(daemon, daemon.told(PublisherConfig))


def _subscriber(daemon: Daemon) -> Any:
    from reclog.stream.subscriber import Subscriber, SubscriberConfig

    return Subscriber(daemon, daemon.told(SubscriberConfig))


#: What each role is.
ROLES: dict[str, Role] = {"publisher": _publisher, "subscriber": _subscriber}

if __name__ == "__main__":
    sys.exit(main(ROLES))
