"""How far the numbers of an artefact lie from those of its source."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgesdk.core.target import Tolerance
from edgesdk.core.tensors import Array

EQUAL_DB = 200.0  # signal-to-noise ratio of equal arrays; JSON knows no infinity


@dataclass(frozen=True, slots=True)
class Difference:
    """Distance of an output to its reference.

    Attributes:
        max_abs: Largest absolute difference.
        max_reference: Largest absolute reference value.
        cosine_p1: First percentile of the cosine per item; of items of one number, of all.
        cosine_p50: Median of the cosine per item.
        snr_db: Energy of the reference over energy of the difference, in dB, at most 200.
        items: Number of items compared.
    """

    max_abs: float
    max_reference: float
    cosine_p1: float
    cosine_p50: float
    snr_db: float
    items: int

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        return asdict(self)


def measure(reference: Array, found: Array) -> Difference:
    """Return the distance of `found` to `reference`, both finite, equal in shape, [N, ...]."""
    want, got = _rows(reference), _rows(found)
    error = got - want
    # A single number has no direction but its sign: all of them are taken as one vector.
    cosines = cosine(want, got) if want.shape[1] > 1 else cosine(want.T, got.T)
    signal, noise = float((want**2).sum()), float((error**2).sum())
    ratio = EQUAL_DB if noise == 0 else 10 * np.log10(max(signal, 1e-300) / noise)
    return Difference(
        max_abs=float(np.abs(error).max()),
        max_reference=float(np.abs(want).max()),
        cosine_p1=float(np.percentile(cosines, 1)),
        cosine_p50=float(np.median(cosines)),
        snr_db=float(min(ratio, EQUAL_DB)),
        items=len(want),
    )


def cosine(first: Array, second: Array) -> Array:
    """Return the cosine per row of two [N, D] arrays; two zero rows count as equal."""
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    products = (first * second).sum(1)
    both_zero = (np.abs(first).max(1) == 0) & (np.abs(second).max(1) == 0)
    safe = np.where(lengths > 0, lengths, 1.0)
    result: Array = np.where(both_zero, 1.0, products / safe)
    return np.clip(result, -1.0, 1.0)


def judge(
    name: str, reference: Array, found: Array, tolerance: Tolerance
) -> tuple[Difference | None, list[str]]:
    """Compare one output and say in sentences what breaks the tolerance.

    Args:
        name: The output's name, for the sentences.
        reference: [N, ...] of the source.
        found: [N, ...] of the artefact.
        tolerance: What is allowed.

    Returns:
        The distance (None where it cannot be taken) and the reasons; no reason = passed.
    """
    if reference.shape != found.shape:
        return None, [f"{name} has shape {found.shape}, the source has {reference.shape}"]
    if not np.isfinite(reference).all():
        return None, [f"{name} of the source itself holds NaN or infinity"]
    if not np.isfinite(found).all():
        return None, [f"{name} holds NaN or infinity"]
    distance = measure(reference, found)
    return distance, [f"{name}: {text}" for text in _broken(distance, reference, found, tolerance)]


def _broken(distance: Difference, reference: Array, found: Array, limit: Tolerance) -> list[str]:
    reasons = []
    if limit.atol is not None:
        atol = limit.atol * max(1.0, distance.max_reference)
        allowed = atol + limit.rtol * np.abs(reference.astype(np.float64))
        share = float((np.abs(_error(reference, found)) > allowed).mean())
        if share:
            reasons.append(
                f"{share:.1%} of the values differ by more than {atol:.3g} + "
                f"{limit.rtol:g} x reference (largest difference {distance.max_abs:.3g})"
            )
    if limit.relative_to_max is not None:
        allowed_max = limit.relative_to_max * distance.max_reference
        if distance.max_abs > allowed_max:
            reasons.append(f"largest difference {distance.max_abs:.3g}, allowed {allowed_max:.3g}")
    if limit.cosine_p1 is not None and distance.cosine_p1 < limit.cosine_p1:
        reasons.append(f"cosine p1 {distance.cosine_p1:.4f}, at least {limit.cosine_p1:g} wanted")
    if limit.snr_db is not None and distance.snr_db < limit.snr_db:
        reasons.append(f"SNR {distance.snr_db:.1f} dB, at least {limit.snr_db:g} dB wanted")
    return reasons


def _error(reference: Array, found: Array) -> Array:
    return found.astype(np.float64) - reference.astype(np.float64)


def _rows(array: Array) -> Array:
    return np.asarray(array, np.float64).reshape(len(array), -1)
