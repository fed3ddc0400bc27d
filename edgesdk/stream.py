"""Many pictures through the face pipeline: reading, finding, aligning and embedding overlap.

Threads read pictures and cut faces out, one picture each; the caller's thread embeds what they
have cut, in batches. Pillow, ONNX Runtime and most of numpy let the other threads run meanwhile.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from edgesdk.core.errors import UsageError
from edgesdk.core.tensors import Array
from edgesdk.images import quiet_pillow
from edgesdk.seen import Cut, Face, Picture

Embed = Callable[[Sequence[Array]], Array]

WAITING = 2  # pictures per thread that are in memory at once
TOGETHER = 16  # faces that are embedded at once


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def stream(
    pictures: Iterable[Picture | UsageError],
    cut: Callable[[Picture], list[Cut]],
    embed: Embed,
    workers: int | None = None,
) -> Iterator[list[Face] | UsageError]:
    """Yield the faces of each picture, in order, or why one has none to give.

    Args:
        pictures: Files or arrays; taken one after the other, a few ahead of what is yielded.
            An error in place of one is passed on.
        cut: Finds the faces of a picture; called by several threads.
        embed: From crops to unit rows [N, D]; called by the caller's thread.
        workers: Threads that cut; None for one per core.
    """
    source, count = iter(pictures), workers or cores()
    with quiet_pillow(), ThreadPoolExecutor(count) as pool:

        def ask(picture: Picture | UsageError) -> Future[list[Cut] | UsageError]:
            return pool.submit(_tried, cut, picture)

        waiting = deque(map(ask, islice(source, WAITING * count)))
        while waiting:
            ready = [waiting.popleft().result()]
            waiting.extend(map(ask, islice(source, 1)))
            while waiting and waiting[0].done() and _faces(ready) < TOGETHER:
                ready.append(waiting.popleft().result())
                waiting.extend(map(ask, islice(source, 1)))
            yield from _embedded(embed, ready)


def _tried(
    cut: Callable[[Picture], list[Cut]], picture: Picture | UsageError
) -> list[Cut] | UsageError:
    if isinstance(picture, UsageError):
        return picture
    try:
        return cut(picture)
    except UsageError as error:
        return error


def _faces(ready: list[list[Cut] | UsageError]) -> int:
    return sum(len(found) for found in ready if isinstance(found, list))


def _embedded(
    embed: Embed, ready: list[list[Cut] | UsageError]
) -> Iterator[list[Face] | UsageError]:
    crops = [cut.crop for found in ready if isinstance(found, list) for cut in found]
    rows = iter(embed(crops))
    for found in ready:
        if isinstance(found, UsageError):
            yield found
        else:
            yield [Face.of(cut, next(rows)) for cut in found]
