"""Why the engine can't do its work, in a sentence for the person who started it."""

from __future__ import annotations


class EngineError(Exception):
    """The engine can't start or go on; the message says why and what to do."""

    #: A word for programs; the tasks look it up to say more than the engine can know.
    cause = "engine"
    #: Whether trying again is of no use, until a person has seen to it.
    is_final = False


class FileUnusable(EngineError):
    """The file to record to can't be opened or is none."""

    cause = "file"


class FileTaken(EngineError):
    """Another recording writes to the file."""

    cause = "file-taken"


class PortTaken(EngineError):
    """Another process listens on the port."""

    cause = "port-taken"


class PortHeld(PortTaken):
    """Nobody listens on the port, but an outgoing connection holds it, or its remains do (TIME-WAIT)."""

    cause = "port-held"


class AddressUnusable(EngineError):
    """The address or port to listen on can't be used."""

    cause = "address"


class ListenerUnusable(EngineError):
    """What is to accept the senders is missing, does not start, or can't do what is asked."""

    cause = "listener"
