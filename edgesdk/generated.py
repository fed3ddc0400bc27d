"""Pictures that may be generated: their crops, their labels by folder, and how scores are judged.

A set is a folder or tar archive whose folders tell what lies in them, at any depth: `real`,
`nature` or `0_real` for photos, `fake`, `ai` or `1_fake` for generated pictures, and `soft` for
photos that tools have worked on. What follows names the kind: `fake/ae-nearest/3.png`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from edgesdk.core.biometrics import auc
from edgesdk.core.errors import UsageError
from edgesdk.core.tensors import Array

SIDES = {
    "real": "real", "nature": "real", "0_real": "real",
    "soft": "soft",
    "fake": "fake", "ai": "fake", "1_fake": "fake",
}  # fmt: skip
# Whatever its size, a picture is judged by no more crops than these: 12 megapixels cost as one.
MOST_CROPS = 64
# A crop whose colours vary by no more levels than these, such as a film's bars, holds no clue.
FLAT = 4
DRAWS = 500
# Errors that each side of the undecided band allows.
ERRORS = 0.05
EVEN = {"generated": {"value": 0.5}, "real": {"value": 0.5}}


@dataclass(frozen=True, slots=True)
class Kind:
    """What a folder of a set holds.

    Attributes:
        side: real, soft or fake.
        name: The folders below that one, "" for none.
    """

    side: str
    name: str = ""

    @property
    def generated(self) -> bool:
        """Whether its pictures are generated."""
        return self.side == "fake"

    def __str__(self) -> str:
        return f"{self.side}/{self.name}" if self.name else self.side


def kind_of(folder: str) -> Kind | None:
    """Return what a folder's name says of its pictures, None where it says nothing."""
    parts = PurePosixPath(folder).parts
    for place, part in enumerate(parts):
        if part.lower() in SIDES:
            return Kind(SIDES[part.lower()], "/".join((*parts[:place], *parts[place + 1 :])))
    return None


def corners(height: int, width: int, side: int, most: int = MOST_CROPS) -> list[tuple[int, int]]:
    """Return (top, left) of a grid of crops of `side` that covers a picture evenly.

    Args:
        height: Of the picture, pixels.
        width: Of the picture, pixels.
        side: Of a crop, pixels.
        most: Crops at most; a larger picture is seen in parts, its edges always.
    """
    counts = [max(1, -(-n // side)) for n in (height, width)]
    excess = (counts[0] * counts[1] / most) ** 0.5
    if excess > 1:
        counts = [max(1, int(n / excess)) for n in counts]
        counts[int(np.argmax(counts))] = most // min(counts)
    tops, lefts = (
        np.linspace(0, max(n - side, 0), count).round().astype(int) if count > 1
        else np.array([max(n - side, 0) // 2])
        for n, count in zip((height, width), counts, strict=True)
    )  # fmt: skip
    return [(int(top), int(left)) for top in tops for left in lefts]


def crops(picture: Array, side: int, most: int = MOST_CROPS) -> Array:
    """Return the grid's crops of a picture's own pixels, uint8 [N, side, side, 3].

    Never a resize, which would wipe out the clue. A picture smaller than a crop is mirrored at
    its edges.
    """
    picture = mirrored_to(picture, side)
    places = corners(picture.shape[0], picture.shape[1], side, most)
    return np.stack([picture[top : top + side, left : left + side] for top, left in places])


def telling(cut: Array) -> Array:
    """Return which crops [N, S, S, 3] show anything, bool [N]; flat ones say nothing."""
    span = cut.max((1, 2)).astype(int) - cut.min((1, 2))
    return np.asarray(span.max(1) > FLAT)


def pooled(logits: Array, cut: Array) -> float:
    """Return the mean logit of the crops that show anything; 0, which knows nothing, of none."""
    kept = telling(cut)
    return float(logits[kept].mean()) if kept.any() else 0.0


def mirrored_to(picture: Array, side: int) -> Array:
    """Return a picture that is at least `side` high and wide, mirrored where it was smaller."""
    missing = [max(0, side - n) for n in picture.shape[:2]]
    if not any(missing):
        return picture
    around = [(n // 2, n - n // 2) for n in missing]
    return np.pad(picture, (*around, (0, 0)), "symmetric")


def power_gap(picture: Array) -> float:
    """Return the one-number rule: high where a picture lacks the finest detail.

    The mean log power of 0.06 to 0.25 cycles per pixel minus that above 0.4, of the middle's
    grey values. Generators leave less of the latter; so does every tool that softens.
    """
    side = min(256, *picture.shape[:2])
    top, left = ((n - side) // 2 for n in picture.shape[:2])
    grey = picture[top : top + side, left : left + side].astype(np.float64).mean(2)
    window = np.hanning(side)
    power = np.abs(np.fft.rfft2((grey - grey.mean()) * np.outer(window, window))) ** 2
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    high, middle = radius > 0.4, (radius > 0.06) & (radius < 0.25)
    logs = np.log(power + 1e-3)
    return float(logs[middle].mean() - logs[high].mean())


def auc_interval(fake: Array, real: Array, seed: int = 0) -> dict[str, float | int]:
    """Return the AUC of fakes above real pictures, its 95 % interval by bootstrap, and counts."""
    random = np.random.default_rng(seed)
    drawn = [
        auc(random.choice(fake, len(fake)), random.choice(real, len(real))) for _ in range(DRAWS)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {
        "auc": auc(fake, real), "low": float(low), "high": float(high),
        "fakes": len(fake), "reals": len(real),
    }  # fmt: skip


def balanced_accuracy(fake: Array, real: Array, threshold: float) -> float:
    """Return the mean of both sides' shares decided rightly at a threshold."""
    return float(((fake >= threshold).mean() + (real < threshold).mean()) / 2)


def probability(logit: Array) -> Array:
    """Return the chance of "generated" where both sides are as frequent: the sigmoid."""
    return np.asarray(0.5 * (1 + np.tanh(np.asarray(logit, np.float64) / 2)))


def calibration(logits: Array, generated: Array) -> tuple[float, float]:
    """Return slope and offset that make logits into calibrated ones, both sides weighed alike.

    Platt's logistic fit by Newton's method, drawn a little towards (1, 0).

    Raises:
        UsageError: one side is missing.
    """
    if generated.all() or not generated.any():
        raise UsageError("calibration needs real and generated pictures; give both")
    weights = np.where(generated, 0.5 / generated.mean(), 0.5 / (1 - generated.mean()))
    rows = np.stack([logits, np.ones_like(logits)], 1).astype(np.float64)
    prior, found = np.array([1.0, 0.0]), np.array([1.0, 0.0])
    for _ in range(50):
        told = probability(rows @ found)
        slope = rows.T @ (weights * (told - generated)) + (found - prior)
        curve = (rows * (weights * told * (1 - told))[:, None]).T @ rows + np.eye(2)
        step = np.linalg.solve(curve, slope)
        found = found - step * min(1.0, 1.0 / max(np.abs(step).max(), 1e-9))
    return float(max(found[0], 1e-3)), float(found[1])


def band(probabilities: Array, generated: Array) -> Mapping[str, Mapping[str, float]]:
    """Return the thresholds of the verdict: at most 5 % of either side are called the other.

    Between `real` and `generated` lies what cannot be told; "low" and "high" are the ends of
    each threshold's 95 % interval by bootstrap.
    """
    real, fake = probabilities[~generated], probabilities[generated]
    return {
        "generated": _cut(real, 1 - ERRORS, (0.5, 1.0)),
        "real": _cut(fake, ERRORS, (0.0, 0.5)),
    }


def _cut(side: Array, part: float, allowed: tuple[float, float]) -> dict[str, float]:
    random = np.random.default_rng(0)
    drawn = [np.quantile(random.choice(side, len(side)), part) for _ in range(DRAWS)]
    ends = np.quantile(drawn, (0.025, 0.975))
    value, low, high = np.clip([np.quantile(side, part), *ends], *allowed)
    return {"value": float(value), "low": float(low), "high": float(high)}


def cuts_of(
    thresholds: Mapping[str, Mapping[str, float]],
) -> Mapping[str, Mapping[str, float]]:
    """Return the thresholds of the verdict that a model stores, one half where it stores none."""
    return thresholds if {"generated", "real"} <= set(thresholds) else EVEN


def told(
    logit: float, note: str, thresholds: Mapping[str, Mapping[str, float]]
) -> tuple[float, str]:
    """Return the probability of "generated" and the verdict; what hinders one leaves it open.

    Args:
        logit: Of the whole picture.
        note: What hinders a verdict, "" for nothing.
        thresholds: Of the model.
    """
    chance = float(probability(np.array(logit)))
    return chance, "undecided" if note else verdict(chance, cuts_of(thresholds))


def verdict(chance: float, thresholds: Mapping[str, Mapping[str, float]]) -> str:
    """Return generated, real or undecided."""
    if chance >= thresholds["generated"]["value"]:
        return "generated"
    return "real" if chance < thresholds["real"]["value"] else "undecided"
