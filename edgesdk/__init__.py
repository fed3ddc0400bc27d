"""edgesdk: vision models from a big teacher to a small device, with proof at each step."""

from edgesdk._version import __version__
from edgesdk.core.quiet import silence

silence()

__all__ = ["__version__"]
