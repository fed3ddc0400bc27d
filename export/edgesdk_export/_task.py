"""The task itself, before and after: what an artefact loses on a set with the truth."""

from typing import Any

from edgesdk.core.biometrics import drop_interval
from edgesdk.core.errors import UsageError
from edgesdk.core.task import Evaluation, Judged, Metric


def check_max_drop(value: float) -> None:
    """Raise UsageError for an allowed loss that makes no sense, such as NaN."""
    if not 0 <= value <= 1:
        raise UsageError(f"max_drop is a part of the whole, 0 to 1, found {value}")


def contrast(
    source: Judged, artefact: Judged, data: Evaluation, max_drop: float
) -> tuple[dict[str, Any], list[str]]:
    """Return the task block of a verification, and the reasons why it fails.

    The headline metric may get worse by `max_drop`. The others are noisier: one fails only
    where the whole 95 % interval of its drop (bootstrap over the same items) lies beyond.
    """
    first, *others = source.metrics
    told = {metric.key: metric for metric in artefact.metrics}
    task: dict[str, Any] = {
        "metric": first.key,
        **_pair(first, told[first.key]),
        data.counted: len(data),
        "data": data.name,
        "data_sha256": data.sha256,
        "max_drop": max_drop,
    }
    reasons = []
    if task["drop"] > max_drop:
        reasons.append(_sentence(first, task, max_drop))
    for metric in others:
        pair = {**metric.facts, **_pair(metric, told[metric.key])}
        task[metric.key] = pair
        if pair["interval"][0] > max_drop:
            reasons.append(_sentence(metric, pair, max_drop))
    return task, reasons


def _pair(source: Metric, artefact: Metric) -> dict[str, Any]:
    """Return both figures and how much worse the second one is, with its interval."""
    sides = (source, artefact) if source.higher_is_better else (artefact, source)
    return {
        "source": source.value,
        "artefact": artefact.value,
        "drop": sides[0].value - sides[1].value,
        "interval": drop_interval(sides[0].items, sides[1].items),
    }


def _sentence(metric: Metric, values: dict[str, Any], max_drop: float) -> str:
    word = "falls" if metric.higher_is_better else "rises"
    return (
        f"{metric.name} {word} from {values['source']:.4f} to {values['artefact']:.4f}, "
        f"{'a drop' if metric.higher_is_better else 'a rise'} of at most {max_drop:g} is allowed"
    )
