"""How much noise a guarantee costs where many answers add up: Google's dp-accounting."""

from __future__ import annotations

from typing import Any

# What DP-SGD and PATE need beyond the recipe.
NEEDS = ("dp_accounting",)
LARGEST_NOISE = 1e4


class Needs:
    """What is to be installed."""

    requires, extra = NEEDS, "privacy"


def gaussian_noise(epsilon: float, delta: float, times: int, sensitivity: float) -> float:
    """Return the deviation of Gaussian noise under which `times` answers are (epsilon, delta)-DP.

    Args:
        epsilon: Of all answers together.
        delta: Likewise.
        times: Number of answers on the same records.
        sensitivity: How far one record moves an answer, in the Euclidean norm.
    """
    import dp_accounting as dp

    return sensitivity * _calibrated(
        lambda noise: dp.SelfComposedDpEvent(dp.GaussianDpEvent(noise), times), epsilon, delta
    )


def sgd_noise(epsilon: float, delta: float, rate: float, steps: int) -> float:
    """Return the noise multiplier of DP-SGD with Poisson sampling, by its privacy loss.

    Args:
        epsilon: Of the whole training, neighbours differ by one record added or removed.
        delta: Likewise.
        rate: Chance that a record takes part in a step.
        steps: Number of steps.
    """
    import dp_accounting as dp

    return _calibrated(lambda noise: _sgd(dp, noise, rate, steps), epsilon, delta)


def sgd_epsilon(noise: float, delta: float, rate: float, steps: int) -> float:
    """Return what DP-SGD costs; see `sgd_noise`."""
    import dp_accounting as dp

    return float(_accountant().compose(_sgd(dp, noise, rate, steps)).get_epsilon(delta))


def _sgd(dp: Any, noise: float, rate: float, steps: int) -> Any:
    step = dp.PoissonSampledDpEvent(rate, dp.GaussianDpEvent(noise))
    return dp.SelfComposedDpEvent(step, steps)


def _calibrated(event: Any, epsilon: float, delta: float) -> float:
    import dp_accounting as dp

    bracket = dp.ExplicitBracketInterval(1e-2, LARGEST_NOISE)
    found = dp.calibrate_dp_mechanism(_accountant, event, epsilon, delta, bracket, tol=1e-4)
    return float(found)


def _accountant() -> Any:
    from dp_accounting import rdp

    return rdp.RdpAccountant()
