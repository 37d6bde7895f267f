"""The processes in the background, each read from top to bottom. Imports all of the engine."""
