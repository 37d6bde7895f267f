from __future__ import annotations

import pytest

from reclog.engine.sources.socat import socat_command
from reclog.engine.sources.source import Asked
from reclog.engine.system.address import parse_network

KEEPALIVE = "keepalive,keepidle=60,keepintvl=10,keepcnt=6,oobinline"


LISTEN = "reuseaddr,fork,backlog=4096,max-children"
OF_ONE, RANGE = [parse_network("192.0.2.0/24")], "range=192.0.2.0/24"


@pytest.mark.parametrize(
    ("asked", "options", "address"),
    [
        (Asked("0.0.0.0", 55514), "", f"TCP4-LISTEN:55514,bind=0.0.0.0,{LISTEN}=1000,{KEEPALIVE}"),
        # -d: whom it refuses is said.
        (
            Asked("192.0.2.7", 1, OF_ONE, places=7),
            "-d ",
            f"TCP4-LISTEN:1,bind=192.0.2.7,{LISTEN}=7,{KEEPALIVE},{RANGE}",
        ),
        *(
            (Asked(bind, 2), "", f"TCP6-LISTEN:2,bind=[{bind}],ipv6only={only},{LISTEN}=1000,{KEEPALIVE}")
            for bind, only in (("::", 0), ("::1", 1), ("2001:db8::1", 1))
        ),
    ],
)
@pytest.mark.parametrize("bare", [False, True])
def test_the_command(asked: Asked, options: str, address: str, bare: bool) -> None:
    to = "FD:9" if bare else "UNIX-CONNECT:senders"
    words = f"{'-u ' if bare else ''}{options}-b 65536 -t 0 {address} {to}"
    assert socat_command("/usr/bin/socat", asked, to, one_way=bare) == ["/usr/bin/socat", *words.split()]
