"""Converters talk a lot and fail in many ways: here they keep silent and fail in one way."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.hush import hush

MOST, LONGEST = 240, 2000  # characters of a foreign message: told, and looked at
# Folders before a file's name; a text of ten characters or more that stands there twice.
PLACE = re.compile(r"(?:[A-Za-z]:)?(?:[/\\][\w.@+-]+)+[/\\](?=[\w.@+-])")
TWICE = re.compile(r"(.{10,}?)\s*\1+")


@contextmanager
def converting(tool: str) -> Iterator[None]:
    """Silence `tool`, and turn whatever it raises into one sentence.

    Raises:
        EdgeSdkError: the tool refused the network.
    """
    with hush():
        try:
            yield
        except (EdgeSdkError, OSError):
            raise
        except Exception as error:  # converters raise anything
            raise EdgeSdkError(
                f"{tool} cannot convert this network: {brief(error)}; take another target or "
                "precision, or see the tool's own words whole with --debug"
            ) from error


def brief(error: Exception) -> str:
    """Return what a tool says in one line: no folders of this machine, nothing twice."""
    text = PLACE.sub("", " ".join(str(error)[:LONGEST].split()))
    text = TWICE.sub(r"\1", text)
    return text[:MOST].rstrip() + ("..." if len(text) > MOST else "") or type(error).__name__
