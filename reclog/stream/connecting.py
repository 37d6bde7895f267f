"""A connection to a stream's server, and what its refusals mean for a person.

Rules kept here:

- Nothing is sent that a connection which is lost had not sent yet: it ends, and another one is made by
  whoever needs it, who then looks where to go on. (nats-py's own would send it, whatever happened meanwhile.)
- Where TLS is asked for nothing is said without it: nats-py takes the server's word for whether it is needed.
- What a server does not allow is said at once. (It answers nothing then, and says so beside: nats-py waits.)
- Servers of a cluster that a server tells of are tried as well.
- What a server says is quoted short, in one line. It is kept as far as an honest one says that much: whatever
  else it says takes no memory, and ends the connection.
- Anybody who publishes has a say in a message's subject and headers, and nats-py stops reading, for good and
  without a word, where it can't decode one: then the message has none, and comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import socket
import ssl
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.protocol.parser import Parser

from ..errors import ReclogError
from .account import Account

T = TypeVar("T")

#: Seconds for a connection, and for an answer.
CONNECT_WITHIN, ANSWER_WITHIN = 3, 5.0
#: Seconds between signs of life, and how many may be owed: a link that went dead is noticed in 15.
_BEAT, _OWED = 5, 2
#: Servers that a cluster told of, at most.
_MOST_KNOWN = 16
#: Bytes of an answer of JetStream's; and of anything, with its headers: no server takes more than 64 MiB.
_LONGEST_ANSWER, LONGEST = 1 << 20, 65 << 20
# What goes wrong is said by us.
logging.getLogger("nats").addHandler(logging.NullHandler())


class NotConnected(ReclogError):
    """There is no connection, or there is none any more; the message says why, as part of a sentence."""


class Refused(ReclogError):
    """The server does not do what is asked; the message says why, as part of a sentence.

    `code` is the error's number in JetStream, 0 if it has none.
    """

    def __init__(self, why: str, code: int = 0) -> None:
        super().__init__(why)
        self.error = code


class _Bounded(Parser):
    """What is read of a server, no more of it at a time than there can be."""

    async def parse(self, data: bytes = b"") -> None:
        await super().parse(data)
        if len(self.buf) > LONGEST:
            raise nats.errors.ProtocolError


class Connection(Client):
    """A connection that ends when it is lost."""

    def __init__(self, account: Account) -> None:
        super().__init__()
        self._ps = _Bounded(self)
        self._account = account
        self._trouble: BaseException | None = None
        self._lost = asyncio.Event()
        # By which token of nats-py's the answer to a request comes, by its subject.
        self._asked: dict[str, str] = {}
        #: What it last said that we may not do, but for these; empty if nothing.
        self.forbidden = ""

    @property
    def is_lost(self) -> bool:
        """Whether it has ended."""
        return self._lost.is_set() or self.is_closed

    @property
    def known(self) -> list[str]:
        """The servers that the cluster told of."""
        scheme = "tls" if self._account.encrypted else "nats"
        return [f"{scheme}://{one.netloc}" for one in self.discovered_servers][:_MOST_KNOWN]

    @property
    def clustered(self) -> bool:
        """Whether the server is one of several."""
        return bool(self._server_info.get("cluster"))

    async def open(self, server: str, label: str) -> None:
        """Connect to a server; `label` is what we are called there. Raises what nats-py does."""
        one = self._account
        options: dict[str, Any] = {}
        if one.login:
            user, password = one.said()
            options = {"user": user, "password": password} if password else {"token": user}
        if one.encrypted or one.ca or one.cert:
            context = ssl.create_default_context(cafile=one.ca or None)
            if one.cert:
                context.load_cert_chain(one.cert, one.key)
            options["tls"] = context
        await self.connect(
            [server],
            name=label,
            error_cb=self._note,
            closed_cb=self._end,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=CONNECT_WITHIN,
            ping_interval=_BEAT,
            max_outstanding_pings=_OWED,
            user_credentials=one.creds or None,
            nkeys_seed=one.nkey or None,
            **options,
        )

    async def answer(self, subject: str, asked: Awaitable[T]) -> T:
        """Return what comes of a request at a subject, by its own deadline. Raises NotConnected, Refused."""
        try:
            return await asked
        except (nats.errors.Error, OSError) as error:
            if self.is_lost and not isinstance(error, nats.js.errors.APIError):
                raise NotConnected(f"{self._account.hosts}: the connection is lost") from error
            silent = self.forbidden if isinstance(error, nats.errors.TimeoutError) else ""
            raise Refused(silent or why(error), getattr(error, "err_code", None) or 0) from error
        finally:
            self._asked.pop(subject, None)

    async def ask(self, subject: str, /, **wanted: Any) -> dict[str, Any]:
        """Return what JetStream's API answers at `$JS.API.` and `subject`. Raises NotConnected, Refused."""
        subject = f"$JS.API.{subject}"
        return await self.answer(subject, self._ask(subject, json.dumps(wanted).encode("utf-8")))

    async def _ask(self, subject: str, wanted: bytes) -> dict[str, Any]:
        message = await self.request(subject, wanted, timeout=ANSWER_WITHIN)
        try:
            answer = json.loads(message.data) if len(message.data) <= _LONGEST_ANSWER else None
        except (ValueError, RecursionError) as error:
            raise Refused("the server's answer makes no sense") from error
        if not isinstance(answer, dict):
            raise Refused("the server's answer makes no sense")
        if isinstance(answer.get("error"), dict):
            said = answer["error"]
            number = said.get("err_code")
            raise Refused(quoted(said.get("description", "")), number if type(number) is int else 0)
        return answer

    async def publish(
        self, subject: str, payload: bytes = b"", reply: str = "", headers: dict[str, Any] | None = None
    ) -> None:
        """Say something; nats-py asks by this, too."""
        token = reply.rpartition(".")[2]
        if token in self._resp_map:
            self._asked[subject] = token
        await super().publish(subject, payload, reply, headers)

    async def leave(self) -> None:
        """Close it."""
        with contextlib.suppress(Exception):  # it is lost already, or it never was
            await asyncio.wait_for(self.close(), CONNECT_WITHIN)

    def _connect_command(self) -> bytes:
        """Return what introduces us: secrets are in it, or a proof of them."""
        writer = getattr(self._transport, "_io_writer", None)
        if self._account.encrypted and (writer is None or writer.get_extra_info("ssl_object") is None):
            raise NotConnected("it speaks no TLS: nats:// does without")
        return bytes(super()._connect_command())

    async def _read_loop(self) -> None:
        await super()._read_loop()
        if not self.is_closed:  # nats-py leaves it open where something made no sense
            await self._process_op_err(nats.errors.ProtocolError())

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        urls, room = info.get("connect_urls"), max(0, _MOST_KNOWN - len(self._server_pool))
        await super()._process_info({**info, "connect_urls": list(urls or ())[:room]}, initial_connection)

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        subject = subject.decode("utf-8", "backslashreplace").encode("utf-8")
        await super()._process_msg(sid, subject, reply, data, headers)

    async def _process_headers(self, headers: bytes) -> dict[str, str] | None:
        try:
            return await super()._process_headers(headers)
        except (IndexError, ValueError):
            return None

    async def _note(self, error: Exception) -> None:
        self._trouble = error
        told = str(error).lower()
        if "permissions violation" not in told:
            return
        meant = [token for subject, token in self._asked.items() if f'"{subject.lower()}"' in told]
        about = quoted(told.removeprefix("nats: ").replace('"', ""))
        said = f"the server does not allow it ({about})"
        if not meant:
            self.forbidden = said
        if "for subscription" in told:
            meant = list(self._resp_map)
        self._fail(meant, Refused(said))

    async def _end(self) -> None:
        self._lost.set()
        self._fail(list(self._resp_map), nats.errors.ConnectionClosedError())

    def _fail(self, tokens: Sequence[str], error: Exception) -> None:
        """Have nobody wait until a deadline for an answer that won't come."""
        for token in tokens:
            waiting = self._resp_map.get(token)
            if waiting is not None and not waiting.done():
                waiting.set_exception(error)

    @property
    def trouble(self) -> BaseException | None:
        """What went wrong last, other than what was raised."""
        return self._trouble


async def connected(account: Account, label: str, known: list[str]) -> Connection:
    """Return a connection to one of an account's servers, or of those `known` else. Raises NotConnected."""
    told = ""
    others = [server for server in known if server not in account.servers]
    for server in [*random.sample(list(account.servers), len(account.servers)), *others]:
        connection = Connection(account)
        where = server.partition("://")[2]
        try:
            await asyncio.wait_for(connection.open(server, label), 3 * CONNECT_WITHIN)
            return connection
        except asyncio.TimeoutError:
            told = told or f"{where} does not answer"
        except Exception as error:
            # NoServersError hides what happened; nkeys raises errors that are nobody's.
            told = (
                told
                or f"{where}: {why(connection.trouble if hides(error) and connection.trouble else error)}"
            )
        await connection.leave()
    raise NotConnected(told)


def hides(error: BaseException) -> bool:
    """Tell whether an error only says that there was one."""
    return isinstance(error, nats.errors.NoServersError)


def why(error: BaseException) -> str:
    """Return what an error means, as part of a sentence."""
    text = str(error)
    if isinstance(error, ReclogError):
        return text
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    if isinstance(error, socket.gaierror):
        return "no such host is known"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({quoted(error.verify_message)}): --ca names who signed it"
    if isinstance(error, ssl.SSLError):
        return quoted(getattr(error, "reason", None) or text)
    if isinstance(error, OSError) and error.strerror:
        return quoted(error.strerror)
    if isinstance(error, nats.errors.NoRespondersError):
        return "JetStream is off there, or off for this account"
    if isinstance(error, nats.js.errors.NoStreamResponseError):
        return "nobody takes it there: no stream has this subject, or JetStream is off"
    if isinstance(error, nats.js.errors.APIError):
        return quoted(error.description or "") or "JetStream does not answer: it is off, or has no leader now"
    if isinstance(error, asyncio.TimeoutError):
        return "the server does not answer"
    if "authorization violation" in text.lower() or isinstance(error, nats.errors.AuthorizationError):
        return "the server does not let us in: --creds, --nkey or --login say who we are"
    if "expecting INFO" in text:
        return "what listens there is no NATS server"
    return quoted(text.removeprefix("nats: ")) or type(error).__name__


def quoted(said: object) -> str:
    """Return a stranger's words, short and in one line."""
    words = " ".join("".join(c if c.isprintable() else " " for c in str(said)[:1000]).split())[:200]
    return words[1:-1] if words[:1] == words[-1:] != "" and words[0] in "'\"" else words
