"""How a spool comes to where its lines are wanted. Imports `stores`, `sources`, `records`, `system`."""
