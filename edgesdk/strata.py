"""Split a set of pairs: by a column of its list, or masked and bare faces by looking at them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgesdk.core.batches import CHUNK
from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.shipped import open_bundle
from edgesdk.core.tensors import Array
from edgesdk.pairs import PairSet

SEGMENTER = "masked-face"
BY_MASK = "mask"
# Share of a crop under the mask from which on a face counts as masked: measured by
# tools/mask_share.py on MFR2, see benchmarks/results/mask-share.json.
LEAST_SHARE = 0.05


def split(pairs: PairSet, by: str, threads: int = 1) -> dict[str, Array]:
    """Return stratum -> bool [N], the pairs that belong to it.

    Args:
        pairs: The set.
        by: A further column of pairs.csv, or "mask": the segmenter of `masked-face` tells which
            faces wear one, and the strata are "bare x bare", "masked x bare", "masked x masked".
        threads: Of the CPU, for the segmenter.

    Raises:
        UsageError: the list has no such column.
    """
    if by in pairs.columns:
        words = np.array(pairs.columns[by])
    elif by == BY_MASK:
        words = _by_mask(pairs, threads)
    else:
        known = [BY_MASK, *pairs.columns]
        raise UsageError(
            f"{pairs.path} has no column {by!r} to split by. {did_you_mean(by, known)}"
        )
    return {str(word): words == word for word in np.unique(words)}


def _by_mask(pairs: PairSet, threads: int) -> Array:
    pictures = range(len(pairs.pictures))
    shares = [
        mask_shares([pairs.read(n) for n in pictures[start : start + CHUNK]], threads)
        for start in range(0, len(pictures), CHUNK)
    ]
    masked = (np.concatenate(shares) >= LEAST_SHARE)[pairs.pairs].sum(0)
    words: Array = np.array(["bare x bare", "masked x bare", "masked x masked"])[masked]
    return words


def mask_shares(crops: Sequence[Array], threads: int = 1) -> Array:
    """Return for each aligned crop the share [N] of it that a mask covers."""
    from edgesdk_runtimes._open import open_session

    bundle = open_bundle(SEGMENTER)
    (spec,) = bundle.inputs
    with open_session(bundle, None, "cpu", threads) as session:
        tensor = bundle.preprocess[spec.name](crops)
        masks = session.run({spec.name: tensor})["mask"]
    shares: Array = np.mean(masks > 0.5, axis=(1, 2, 3))
    return shares
