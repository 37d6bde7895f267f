"""Thin tasks: resolve settings, call one function, print."""
