"""Converters talk a lot and fail in many ways: here they keep silent and fail in one way."""

from collections.abc import Iterator
from contextlib import contextmanager

from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.hush import hush


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
            text = " ".join(str(error).split())[:300] or type(error).__name__
            raise EdgeSdkError(
                f"{tool} cannot convert this network: {text}; see it whole with --debug"
            ) from error
