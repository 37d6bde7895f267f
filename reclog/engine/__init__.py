"""What runs in the background: standard library only, Python 3.8 or newer.

Nothing in this package imports another part of reclog, so that it can be packed into one file and run
on a host that has nothing but python3.
"""

try:
    from ._version import __version__ as __version__
except ImportError:  # a clone that is run as it is
    __version__ = "0+unknown"
