"""The way to the relay: an ssh with a local forward, dialled while it listens, made anew when it ends.

Rules kept here:

- Only our own ssh is dialled, and only while it listens: whoever else has the port gets no connection.
- The network's failures are answered within a second or so, a refused login after a minute (a host that
  counts failures would lock us out).
- Nothing here waits: a relay that is slow to shake hands holds up neither lines nor a stop.
- A relay that does not answer behind a tunnel that does is started again, over ssh.
"""

from __future__ import annotations

import signal
from typing import Any, Mapping, Protocol

from ..errors import EngineError
from ..records.events import Say
from ..records.jsonfile import parse_json
from ..system.child import Child
from ..system.loop import Loop
from .client import FeedClient
from .handshake import WORD_MAX, OtherVersion, Refused
from .protocol import FeedError, checked_secret

#: Seconds between dials while the tunnel is up and the relay does not answer.
DIAL_AGAIN = 0.3
#: Seconds between two looks whether ssh listens by now, and before a lost connection is dialled again.
LISTENS_AGAIN, LOST_AGAIN = 0.02, 0.05
#: Seconds before that, where it had not lasted for so long: what broke it off may break off the next one.
LASTED = 1.0
#: Seconds between two attempts to start the relay again.
STARTER_AGAIN = 5.0
#: Seconds for an ssh to log in and listen, or to start the relay; a link that died meanwhile tells nobody.
SSH_WITHIN = 20.0
#: What ssh says when it is not the network that is in the way: then trying often would get us banned.
LOGIN_REFUSED = ("Permission denied", "Host key verification failed", "Too many authentication failures")
#: Seconds between two attempts then, and at most between two attempts otherwise.
LOGIN_AGAIN, NETWORK_AGAIN = 60.0, 1.0
#: Lines a second of what ssh says that become events: they may be the tremplin's own words.
LINES_A_SECOND = 10
#: What to do where sshd does not forward.
FORBIDDEN = "The tremplin's sshd forbids the tunnel: have `AllowTcpForwarding local` in its sshd_config."


class Forbidden(EngineError):
    """The tremplin's sshd forwards nothing."""

    cause = "forbidden"


class Outdated(EngineError):
    """The relay is of another version of reclog."""

    cause = "version"
    is_final = True


class User(Protocol):
    """Who has a tunnel, and is told what becomes of it."""

    def hello(self) -> dict[str, Any]:
        """Return what is said to the relay of who we are and what we want."""

    def connected(self, client: FeedClient, answer: dict[str, Any]) -> None:
        """Take a connection that has shaken hands, and the relay's answer."""

    def disconnected(self, reason: str) -> None:
        """Take note that ssh ended: a connection through it, if there is one, is lost."""

    def refused(self, error: EngineError) -> None:
        """Take note that there is no use in trying again."""


class Tunnel:
    """Keep a connection to the relay's feed, through our own ssh."""

    def __init__(self, loop: Loop, config: Mapping[str, Any], folder: str, say: Say, user: User) -> None:
        #: Why there is no connection; empty while there is one.
        self.trouble = ""
        self._port = int(config["port_local"])
        self._relay_listens = bool(config["relay_listens"])
        self._secret = checked_secret(config["secret"])
        self._loop = loop
        self._user = user
        self._say = say
        # A connection that shakes hands.
        self._client: FeedClient | None = None
        self._connected = False
        self._connected_once = False
        self._connected_at = 0.0
        self._ssh = Child(
            loop,
            config["ssh_command"],
            folder,
            self._ssh_says,
            on_end=self._ssh_ended,
            on_due=self.start,
            longest_pause=NETWORK_AGAIN,
            lines_a_second=LINES_A_SECOND,
        )
        self._listening_at = 0.0
        self._starter = Child(
            loop,
            config["start_command"],
            folder,
            self._starter_says,
            on_end=self._starter_ended,
            lines_a_second=LINES_A_SECOND,
        )
        self._starter_not_before = 0.0
        # Why the relay did not start, in its own words.
        self._not_started = ""
        self._dial_timer = loop.timer(self._dial)
        self._late_timer = loop.timer(lambda: self._failed(FeedError("it says nothing")))

    def start(self) -> None:
        """Start ssh, and dial as soon as it listens."""
        try:
            self._ssh.start()
        except OSError as error:
            self.trouble = f"ssh does not start ({error.strerror})"
            self._ssh.start_later()
            return
        self._listening_at = self._loop.now()
        self._dial_timer.at(self._loop.now() + LISTENS_AGAIN)

    def stop(self) -> None:
        """End ssh, and whatever else was started."""
        self._dial_timer.off()
        self._hang_up()
        self._ssh.stop()
        self._starter.stop()

    def reap(self) -> None:
        """Notice what ended."""
        self._ssh.poll()
        self._starter.poll()

    def lost(self, why: str) -> None:
        """Take note that the connection is lost; it is dialled again."""
        self._connected = False
        self.trouble = why
        now = self._loop.now()
        self._dial_timer.at(now + (LOST_AGAIN if now - self._connected_at > LASTED else LASTED))

    def make_anew(self) -> None:
        """Give up on an ssh whose link is dead; another is started when it has ended."""
        self._ssh.signal(signal.SIGKILL)

    def look(self) -> None:
        """End what hangs; to be called now and then."""
        late = self._loop.now() - SSH_WITHIN
        if not self._connected and self._ssh.pid and self._listening_at < late:
            self._say("ssh did not listen in time")
            self._ssh.signal(signal.SIGKILL)
        if self._starter.pid and self._starter_not_before - STARTER_AGAIN < late:
            self._say("relay does not start", said="no answer in time")
            self._starter.signal(signal.SIGKILL)

    def _ssh_ended(self, status: int) -> None:
        words = self._ssh.last_words
        self._hang_up()
        self._user.disconnected(f"ssh ended: {words}" if words else "ssh ended")
        self.trouble = words or "ssh ended"
        refused = any(sign in words for sign in LOGIN_REFUSED)
        self._ssh.start_later(LOGIN_AGAIN if refused else 0.0)

    def _ssh_says(self, words: str) -> None:
        # Of a UNIX socket sshd does not say that it is forbidden, only that it does not open.
        sign = "open failed" if self._relay_listens else "administratively prohibited"
        if sign in words and not self._connected_once:
            self._user.refused(Forbidden(FORBIDDEN))
        if "open failed" not in words:  # the relay is not there yet: the dial says it better
            self._say("ssh says", text=words)

    def _dial(self) -> None:
        """Connect to the feed once our own ssh listens on the port; come back until it does."""
        if self._connected or not self._ssh.pid:
            return
        now = self._loop.now()
        self._dial_timer.at(now + LISTENS_AGAIN)
        if not self._ssh.listens_on(self._port):
            return
        self._listening_at = now
        try:
            self._client = FeedClient(self._port, self._secret, now, self._user.hello)
        except OSError as error:
            self._failed(error)
            return
        self._dial_timer.off()
        self._late_timer.at(self._client.hands.late_at)
        self._loop.watch(self._client.sock, self._shake_hands)

    def _shake_hands(self) -> None:
        client = self._client
        assert client is not None
        try:
            done = client.shake_hands()
        except Refused as error:
            self._hang_up()
            self._user.refused(error)
        except (OSError, FeedError) as error:
            if isinstance(error, OtherVersion) and not self._connected_once:
                self._user.refused(Outdated(f"{str(error)[:1].upper()}{str(error)[1:]}."))
            self._failed(error)
        else:
            if done:
                self._loop.unwatch(client.sock)
                self._late_timer.off()
                self._client = None
                self._connected = self._connected_once = True
                self._connected_at = self._loop.now()
                self._not_started = ""
                self.trouble = ""
                self._user.connected(client, client.hands.answer or {})

    def _failed(self, error: Exception) -> None:
        self._hang_up()
        why = f"does not start: {self._not_started}" if self._not_started else f"does not answer ({error})"
        self.trouble = f"the relay {why}"
        self._dial_timer.at(self._loop.now() + DIAL_AGAIN)
        self._start_relay()

    def _hang_up(self) -> None:
        """Give up a connection that is being made."""
        self._late_timer.off()
        if self._client is not None:
            self._loop.unwatch(self._client.sock)
            self._client.close()
            self._client = None

    def _start_relay(self) -> None:
        """Start the relay again over ssh: it was killed, or its host was booted."""
        if not self._starter.pid and self._loop.now() >= self._starter_not_before:
            self._starter_not_before = self._loop.now() + STARTER_AGAIN
            self._say("starting the relay again")
            try:
                self._starter.start()
            except OSError as error:
                self._say("relay does not start", reason=error.strerror)

    def _starter_says(self, words: str) -> None:
        try:
            answer = parse_json(words)
        except ValueError:
            self._say("relay's start says", text=words)
        else:
            self._not_started = "" if answer.get("ready") else str(answer.get("message"))[:WORD_MAX]

    def _starter_ended(self, status: int) -> None:
        if status:
            said = self._not_started or self._starter.last_words
            self._say("relay does not start", wait_status=status, said=said)
