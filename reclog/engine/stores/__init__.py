"""What takes messages: the file, or a spool. Imports `intake` for its batch, `records`, `system`."""
