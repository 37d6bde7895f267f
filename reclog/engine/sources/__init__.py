"""How senders reach us: one kind of source a module. Imports `streams`, `intake`, `records`, `system`."""
