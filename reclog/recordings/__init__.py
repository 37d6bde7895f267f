"""The recordings of this machine: folders, settings, processes, starts and ends. Imports the engine."""
