"""Converters talk a lot and fail in many ways: here they keep silent and fail in one way."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.hush import hush

MOST, LONGEST = 240, 2000  # characters of a foreign message: told, and looked at
# Folders before a file's name; a text of ten characters or more that stands there twice.
PLACE = re.compile(r"(?:\b[A-Za-z]:|[\w.@+-]*)(?:[/\\][\w.@+-]+)+[/\\](?=[\w.@+-])")
COLOUR = re.compile("\x1b\\[[0-9;]*m")
TWICE = re.compile(r"(.{10,}?)\s*\1+")


@contextmanager
def converting(tool: str, layer_meant: Callable[[str], str] | None = None) -> Iterator[None]:
    """Silence `tool`, and turn whatever it raises into one sentence.

    Args:
        tool: What messages call it.
        layer_meant: Called with the tool's own words; returns the layer they are about, or "".

    Raises:
        EdgeSdkError: the tool refused the network.
    """
    with hush():
        try:
            yield
        except (EdgeSdkError, OSError):
            raise
        except Exception as error:  # converters raise anything
            root = _root(error)
            layer = layer_meant(str(root)) if layer_meant else ""
            raise EdgeSdkError(
                f"{tool} cannot convert this network: {layer and f'its layer {layer}: '}"
                f"{brief(root)}; take another target or precision, or see the tool's own words "
                "whole with --debug"
            ) from error


def _root(error: BaseException) -> BaseException:
    """Return what a chain of errors began with, as far as that is told in words."""
    cause = error.__cause__
    told = cause is not None and " " in str(cause).strip()
    return _root(cause) if cause is not None and told else error


def brief(error: BaseException) -> str:
    """Return what a tool says in one line: no folders of this machine, nothing twice."""
    text = PLACE.sub("", " ".join(COLOUR.sub("", str(error)[:LONGEST]).split()))
    text = TWICE.sub(r"\1", text)
    return text[:MOST].rstrip() + ("..." if len(text) > MOST else "") or type(error).__name__
