"""The fixtures of these tests."""

from fixtures import home, listener, trem

__all__ = ["home", "listener", "trem"]
