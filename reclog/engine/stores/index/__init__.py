"""Beside a recorded file: which of its bytes came when, and from whom. Imports `records`, `system`."""
