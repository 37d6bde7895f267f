"""Thin tasks: resolve settings, call one function, print. May import all of reclog but `program`."""
