"""From streams to whole messages, and who may come in. Imports `streams`, `records`, `system`."""
