"""What runs in the background: standard library only, Python 3.8 or newer.

Nothing in this package imports another part of reclog, so that it can be packed into one file and run
on a host that has nothing but python3.
"""

__version__ = "0.1.0"
