"""Tables of docs/generated-images.md, made from training/results/f2c*.json by `make docs`."""

import json
from pathlib import Path
from typing import Any

from readme_tables import table

from edgesdk.core.result import read_result
from tools import detector_claims

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "training" / "results" / "f2c.json"
EARLIER = ROOT / "training" / "results" / "f2c-earlier.json"
SECOND = ROOT / "training" / "results" / "f2c-second-draw.json"
APART = ROOT / "training" / "results" / "f2c-apart.json"
REAL = ROOT / "training" / "results" / "f2c-real.json"
ONE = ROOT / "training" / "results" / "f2c-one.json"
NATIVE = ROOT / "training" / "results" / "f2c-native.json"
BENCH = ROOT / "benchmarks" / "results" / "pipeline" / "f2c-detector-onnx-fp32-ort-pipeline.json"
SHOWN_REAL = ("gemini25_image", "all")
Row = dict[str, Any]


def result() -> Row:
    """Return the committed result."""
    found: Row = json.loads(RESULT.read_text())
    return found


def interval(row: Row) -> str:
    """Return an AUC with its 95 % interval."""
    return f"{row['auc']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def families(against: str) -> str:
    """Return each family against photos or soft photos, by every detector."""
    unseen = result()["unseen"]
    first = next(iter(unseen.values()))
    rows: list[list[object]] = [
        [name, *(interval(found["families"][name][against]) for found in unseen.values())]
        for name in first["families"]
    ]
    means = [f"**{found[f'mean {against}']:.2f}**" for found in unseen.values()]
    return table(["family", *unseen], [*rows, ["**mean**", *means]])


def draws() -> str:
    """Return each detector's means over families, on two draws of generators kept apart."""
    first, second = result()["unseen"], json.loads(SECOND.read_text())["unseen"]
    means = [f"mean {a}" for a in ("against photos", "against soft")]
    rows: list[list[object]] = [
        [name, *(f"{found[name][mean]:.3f}" for found in (first, second) for mean in means),
         *(f"{min(row['against photos']['auc'] for row in found[name]['families'].values()):.2f}"
           for found in (first, second))]
        for name in first
    ]  # fmt: skip
    head = ["varied: photos", "soft", "as taught: photos", "soft", "worst: varied", "as taught"]
    return table(["detector", *head], rows)


def left_out(file: Path = APART) -> str:
    """Return each family by detectors that were taught without families of its kind."""
    found = dict(sorted(json.loads(file.read_text())["left out"].items()))
    against = ("against photos", "against soft")
    head = ["family", *(f"{clue}, {a.removeprefix('against ')}" for clue in found for a in against)]
    names = sorted({name for row in found.values() for name in row["families"]})
    rows: list[list[object]] = [
        [name, *(interval(row["families"][name][a]) for row in found.values() for a in against)]
        for name in names
    ]
    means = [f"**{mean_of(row, a)}**" for row in found.values() for a in against]
    return table(head, [*rows, ["**mean**", *means]])


def left_out_before() -> str:
    """Return the means over families left out by detectors of one draw and one seed."""
    found = dict(sorted(json.loads(EARLIER.read_text())["left out"].items()))
    rows: list[list[object]] = [
        [clue, *(mean_of(row, against) for against in ("against photos", "against soft"))]
        for clue, row in found.items()
    ]
    return table(["detector", "photos", "soft"], rows)


def all_real() -> str:
    """Return the shipped detector and the rule on all pictures of the sets of real generators."""
    found = json.loads(REAL.read_text())["generators"]
    rows: list[list[object]] = [
        [
            f"{name}, {place}" if name != "all" else f"all of {place}",
            f"{ours[name]['fakes']} / {ours[name]['reals']}",
            *(interval(of[name]) for of in (rule, ours)),
        ]
        for place, (rule, ours) in ((p, tuple(of.values())) for p, of in found.items())
        for name in SHOWN_REAL
        if name in ours
    ]
    return table(["generator", "pictures", "one-number rule", "`f2c-detector`"], rows)


def mean_of(row: Row, against: str) -> str:
    """Return the mean over families, with its interval over seeds where there are several."""
    found = detector_claims.by_seed(row["families"], against)
    mean, low, high = detector_claims.interval(found)
    return f"{mean:.2f} ({low:.2f} to {high:.2f})" if len(found) > 1 else f"{mean:.2f}"


def one_family() -> str:
    """Return each family by detectors that were taught on one other family alone, three seeds."""
    return left_out(ONE)


def robustness() -> str:
    """Return AUC after each step, and balanced accuracy at the threshold of the detector."""
    found = result()["robustness"]
    steps = next(iter(found.values()))
    return table(
        ["step", *found],
        [[step, *(_robust(row[step]) for row in found.values())] for step in steps],
    )


def _robust(row: Row) -> str:
    if "balanced_accuracy" not in row:
        return interval(row)
    ends = f"{100 * row['balanced_low']:.0f} to {100 * row['balanced_high']:.0f}"
    return f"{interval(row)}, {100 * row['balanced_accuracy']:.0f} % ({ends})"


def generators() -> str:
    """Return each real generator, fair pairs first, then all of a set."""
    rows: list[list[object]] = []
    sets = result()["generators"]
    names = list(next(iter(sets.values())))
    for place, found in sets.items():
        inside = found[names[0]]
        for name in sorted(inside, key=lambda n: (n == "all", not inside[n].get("fair pair"), n)):
            pair = "fair pair" if inside[name].get("fair pair") else "other photos"
            what = f"**all of {place}**" if name == "all" else f"{name}, {pair}"
            counts = f"{inside[name]['fakes']} / {inside[name]['reals']}"
            rows.append([what, counts, *(interval(found[d][name]) for d in names)])
    return table(["generator", "pictures", *names], rows)


def native() -> str:
    """Return the earlier f2c-detector beside one that was shown photos at their own size too."""
    data = json.loads(NATIVE.read_text())
    rows: list[list[object]] = []
    for name, told in (("f2c earlier", "shipped then"), ("f2c", "with photos of native size")):
        fakes, real = data["unseen"][name], data["generators"]["generators_dev"][name]
        fair = [row["auc"] for row in real.values() if row.get("fair pair")]
        means = [f"{fakes[f'mean {a}']:.3f}" for a in ("against photos", "against soft")]
        rows.append([told, *means, f"{sum(fair) / len(fair):.2f}", interval(real["all"])])
    head = ["detector", "fakes, photos", "fakes, soft", "fair pairs, mean", "all of generators_dev"]
    return table(head, rows)


def worked_on() -> str:
    """Return all fakes against each kind of worked photos, by every detector."""
    key = "all against each soft kind"
    unseen = result()["unseen"]
    kinds = next(iter(unseen.values()))[key]
    rows: list[list[object]] = [
        [kind, *(interval(found[key][kind]) for found in unseen.values())] for kind in kinds
    ]
    return table(["kind", *unseen], rows)


def cost() -> str:
    """Return pictures per second and what takes their time, of the committed bench."""
    found = read_result(BENCH)
    shares = ", ".join(f"{part} {share:.0%}" for part, share in found.shares.items())
    rate = found.main.statistics["items_s"]
    return (
        f"{rate:.0f} drawn pictures of 512 px (64 crops each) a second on {found.plan.threads} "
        f"thread of a server, verdict {found.validity.verdict}; of the time {shares} "
        f"([result](../{BENCH.relative_to(ROOT).as_posix()}))."
    )
