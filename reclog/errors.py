"""What can go wrong for a person: one class a cause, the message a sentence that says what to do."""

from __future__ import annotations


class ReclogError(Exception):
    """It could not be done; exit status 1."""

    code = 1


class UsageError(ReclogError):
    """The words of the call are wrong; exit status 2."""

    code = 2


class StartError(ReclogError):
    """A daemon did not start."""


class AlreadyRecordedError(ReclogError):
    """Another recording writes to the file."""


class NameTakenError(ReclogError):
    """Another recording is called so."""


class PortBusyError(ReclogError):
    """Somebody else listens on the port."""


class TooLongError(ReclogError):
    """A search did not end in its time; `reached` is the offset before which all is searched."""

    def __init__(self, sentence: str, reached: int) -> None:
        super().__init__(sentence)
        self.reached = reached


class StateError(ReclogError):
    """The state directory can't be used."""


class CertificateError(ReclogError):
    """A certificate, its key, or the CA of the clients can't be used."""


class HostError(ReclogError):
    """A host can't be reached, or lacks what a relay needs."""


class RelayError(ReclogError):
    """The relay on the tremplin does not start, stop, or let us have its spool."""


class RelayRunsError(RelayError):
    """Somebody started it meanwhile."""


class LinesStayError(RelayError):
    """It failed, and the relay that it had started holds lines: they stay there."""


class ForbiddenError(RelayError):
    """The tremplin's sshd does not forward to where the tunnel is to end."""


class NotOursError(RelayError):
    """Another machine has the relay."""


class BootError(ReclogError):
    """Something can't be started at boot, or be kept from it."""


class NotDrainedError(ReclogError):
    """Stopped, but something that senders had sent could not be recorded."""


class NoSuchRecordingError(ReclogError):
    """No recording, or more than one, is what the call means."""


class BrokenPathError(ReclogError):
    """test-connection found a hop that does not work."""
