"""Golden sequences of the shipped tracker: frames, a box, words, and where Python finds them.

What JavaScript and Kotlin must find as well: tests/runtimes/test_browser_track.py, test_web_page.py
and the JUnit tests, by android_demo/tools/write_vectors.py. The worlds are made up. In the second
one the target vanishes and comes back elsewhere, and the policy looks ahead and renews the memory,
so that no step stays untried.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from edgesdk.core.tensors import Array
from edgesdk.track import Tracker
from edgesdk.track_steps import Policy, crop
from edgesdk.words import sentence_features
from edgesdk.worlds import Scene, make_world

SCENE = Scene(width=120, height=90, frames=6, smallest=14, largest=24, lookalikes=1,
              grey=False, occlusion=0)  # fmt: skip
RESTLESS = Policy(window=0.3, motion=0.5, still=0.02, look=0.999, lost=0.99, patience=0, update=0.2,
                  sure=0.99)  # fmt: skip
MOVED = (-16, 25)  # pixels down and to the right
CASES = (("followed", 5, None), ("lost and found", 9, RESTLESS))
SENTENCES = ("The RED car, left!", "", "Zoë's 2 büsse 😀", "a " * 20)
# Middle and side: inside, over the border, larger than the frame, enlarged, outside.
CROPS = ((60.0, 45.0, 40.0), (3.3, 88.1, 61.7), (60.0, 45.0, 190.25), (31.5, 40.2, 9.8),
         (-70.0, 20.0, 30.0))  # fmt: skip


def sequences() -> list[dict[str, Any]]:
    """Return frames [N, H, W, 3], box, text, policy and rows: x, y, width, height, score, lost."""
    found = []
    for name, seed, policy in CASES:
        world = make_world(seed, SCENE)
        frames = world.frames if policy is None else interrupted(world.frames)
        with Tracker(policy=policy) as tracker:
            states = [tracker.start(frames[0], world.boxes[0], world.text)]
            states += [tracker.update(frame) for frame in frames[1:]]
        rows = [[*state.box, state.score, float(state.lost)] for state in states]
        found.append(
            {
                "name": name,
                "frames": np.stack(frames),
                "box": [float(v) for v in world.boxes[0]],
                "text": world.text,
                "policy": {} if policy is None else asdict(policy),
                "rows": rows,
            }
        )
    return found


def interrupted(frames: Sequence[Array]) -> list[Array]:
    """Return frames whose third and fourth show nothing, and whose later ones are moved."""
    nothing = [np.full_like(frames[0], 127)] * 2
    return [*frames[:2], *nothing, *(np.roll(frame, MOVED, (0, 1)) for frame in frames[2:])]


def crops(size: int = 32) -> tuple[Array, list[dict[str, Any]]]:
    """Return a frame, and squares of it by middle and side, as the network gets them."""
    frame = make_world(CASES[0][1], SCENE).frames[0]
    return frame, [
        {"at": [x, y], "side": side, "size": size, "crop": crop(frame, (x, y), side, size)}
        for x, y, side in CROPS
    ]


def sentences(words: int = 6, dims: int = 16) -> list[dict[str, Any]]:
    """Return sentences and their rows."""
    return [
        {"text": text, "words": words, "dims": dims, "rows": sentence_features(text, words, dims)}
        for text in SENTENCES
    ]
