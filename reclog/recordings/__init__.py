"""The recordings of this machine: their folders, settings, processes. Imports the engine."""
