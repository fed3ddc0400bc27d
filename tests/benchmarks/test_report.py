"""Reports: self-contained, escaped, and never a ranking of unlike things."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgesdk.core.errors import UsageError
from edgesdk.core.result import BenchPlan, BenchResult, Measurement, Validity, write_result
from edgesdk_benchmarks.report import report, result_table
from edgesdk_benchmarks.report.charts import accuracy_cost
from edgesdk_benchmarks.report.groups import computes_in, grouped
from edgesdk_benchmarks.report.html import accuracy_points
from edgesdk_benchmarks.report.svg import LETTER, Axis, Bar, Chart, around, bars, short
from tools.chromium import executable

ROOT = Path(__file__).parent.parent.parent
EVIL = "<script>alert(1)</script>|x"


def result(model="a", ms=1.0, scenario="latency", verdict="NOISY", **values):
    generator = np.random.default_rng(len(model))
    batches = (1, 8, 64) if scenario == "offline" else (1,)
    runs = [
        Measurement(
            stage="infer", batch=b, samples=tuple(b * ms * 1e6 + generator.normal(0, 1e4, 50))
        )
        for b in batches
    ]
    fields = {
        "artefact": {"model": model, "target": "onnx", "precision": "fp32", "sha256": model * 8,
                     "bytes": 1000, "verify": {"verdict": "pass"},
                     "metrics": {"lfw_accuracy": 0.9}},
        "runtime": {"name": "ort", "version": "1", "kind": "native", "native": True},
        "device": {"kind": "host", "name": "cpu"},
        "environment": {"cpu": "x", "cores": 2, "os": "y"},
        "plan": BenchPlan(scenario=scenario),
        "measurements": (*runs, Measurement(stage="load", samples=(5e6,))),
        "validity": Validity(verdict=verdict, reasons=("because of a reason",)),
        "memory": {"peak_mb": 50.0},
        "order": ("all",),
        "date": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return BenchResult(**(fields | values))


@pytest.fixture
def stored(tmp_path):
    """Return a function that stores results in a folder."""

    def store(*results):
        for i, one in enumerate(results):
            write_result(tmp_path / "in" / f"{i}.json", one)
        return tmp_path / "in"

    return store


def page_of(folder, tmp_path):
    return report([folder], tmp_path / "out").read_text()


def test_one_page_with_markdown_and_json_beside_it(stored, tmp_path):
    folder = stored(result("a"), result("bb", 2.0), result("a", scenario="offline"))
    page = page_of(folder, tmp_path)
    assert page.count("<svg") == 4
    assert "0.50x" in page
    data = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [g["scenario"] for g in data["groups"]] == ["latency", "offline"]
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert "| a onnx fp32 ort | 1 | 1 |" in markdown
    assert "because of a reason" in page
    assert "because of a reason" in markdown


def test_the_page_asks_nothing_from_outside(stored, tmp_path):
    page = page_of(stored(result()), tmp_path)
    assert "://" not in page
    assert not re.search(r"<(script|link|img|iframe)|url\(|@import", page)
    assert "prefers-color-scheme: dark" in page


def test_text_from_files_is_escaped(stored, tmp_path):
    evil = result(EVIL, environment={"cpu": EVIL, EVIL: EVIL}, date=EVIL,
                  validity=Validity(verdict="NOISY", reasons=(EVIL,)))  # fmt: skip
    page = page_of(stored(evil), tmp_path)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<script" not in (tmp_path / "out" / "report.md").read_text()


def test_unlike_machines_and_runs_stand_apart(stored, tmp_path):
    other = {"cpu": "z", "cores": 64, "os": "y"}
    groups = grouped([result("a"), result("bb", environment=other), result("ccc", order=("else",))])
    assert len(groups) == 3
    page = page_of(stored(result("a"), result("bb", 2.0, environment=other)), tmp_path)
    assert "Speed relative to" not in page


def test_invalid_and_foreign_speeds_are_shown_and_never_ranked(stored, tmp_path):
    wasm = {"name": "web", "version": "1", "kind": "wasm", "native": False}
    folder = stored(result("a"), result("bb", verdict="INVALID"), result("ccc", runtime=wasm))
    page = page_of(folder, tmp_path)
    assert "INVALID" in page
    assert "not native" in page
    assert "Speed relative to" not in page
    assert page.count('class="line') == 1


def test_a_device_beyond_this_host_is_named_and_its_invalid_result_is_called_so(stored, tmp_path):
    wasm = {"name": "web", "version": "1", "kind": "remote", "native": False}
    phone = {"kind": "browser", "name": "Some <b>browser"}
    far = replace(result("a", runtime=wasm, verdict="INVALID"), device=phone)
    page = page_of(stored(far), tmp_path)
    assert "Some &lt;b&gt;browser" in page
    assert "not native" not in page
    assert "INVALID" in page


def test_accuracy_is_drawn_only_where_it_was_measured():
    unknown = result("bb")
    unknown = replace(unknown, artefact={**unknown.artefact, "metrics": {}})
    points = accuracy_points(grouped([result("a"), unknown]))
    assert [(found.name, headline.text) for found, headline in points] == [
        ("a onnx fp32 ort", "90.00 %")
    ]


def test_figures_of_different_sets_are_told_apart(stored, tmp_path):
    """An accuracy on other data once stood under "LFW %"."""
    metrics = {"metric": "accuracy", "value": 0.9944, "data": "my-pairs", "data_sha256": "a" * 64}
    other = result("bb", 2.0)
    other = replace(other, artefact={**other.artefact, "metrics": metrics})
    page = page_of(stored(result("a"), other), tmp_path)
    assert "my-pairs accuracy: up and left is better" in page
    assert "LFW accuracy: up and left is better" in page
    assert "<th>my-pairs accuracy</th>" in page
    assert "99.44 %" in page


def test_throughput_is_told_in_the_items_of_the_task(stored, tmp_path):
    def of(item):
        one = result(f"{item}-net")
        return replace(one, artefact={**one.artefact, "task": "other", "item": item})

    assert "<th>frames/s</th>" in page_of(stored(of("frame")), tmp_path)
    assert "faces/s" in page_of(stored(result("a")), tmp_path)
    assert "frames/s" in result_table([of("frame")])
    assert "items/s" in result_table([of("frame"), of("picture")])


def test_the_terminal_shows_the_same_rows():
    text = result_table([result("a"), result("bb", 2.0)])
    assert re.search(r"a onnx fp32 ort +1 +1 ", text)
    assert "NOISY" in text


def test_nothing_and_garbage_are_one_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "other.json").write_text('{"a": 1}')
    (tmp_path / "garbage.json").write_text("{")
    with pytest.raises(UsageError, match="holds no benchmark result"):
        report([tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(UsageError, match="cannot be read as JSON"):
        report([tmp_path / "garbage.json"], tmp_path / "out")
    with pytest.raises(UsageError, match="no result was given"):
        report([], tmp_path / "out")
    with pytest.raises(UsageError, match="does not exist"):
        report([tmp_path / "missing.json"], tmp_path / "out")


NUMBERS = st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=20)


@given(NUMBERS, NUMBERS, st.booleans())
def test_any_numbers_make_a_finite_chart(xs, ys, log):
    chart = Chart("t", "d", around(xs, "x", log=log), around(ys, "y", zero=True))
    points = [(x, y) for x in xs[:3] for y in ys[:3]]
    chart.line(points, 0, "tip", dots=True)
    drawn = chart.svg() + bars("t", "d", [Bar("r", y, y, y, "1x") for y in ys], reference=1.0)
    assert "nan" not in drawn
    assert "inf" not in drawn.replace("infer", "")


@given(NUMBERS, st.booleans())
def test_marks_lie_on_the_axis(values, log):
    axis = around(values, "x", log=log)
    marks = axis.marks()
    assert len(marks) < 60
    assert all(-0.01 <= axis.place(m) <= 1.01 for m in marks)


@pytest.mark.parametrize(
    ("last", "marks"),
    [(1, [1]), (2, [1, 2]), (5, [1, 2, 3, 4, 5]), (11, [3, 6, 9]), (60, [0, 20, 40, 60])],
)
def test_rounds_are_marked_at_whole_numbers(last, marks):
    assert around(range(1, last + 1), "round", whole=True).marks() == marks


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.0312, "0.0312"), (64, "64"), (1234, "1,234"), (60000, "60k")]
)
def test_ticks_are_short(value, text):
    assert short(value) == text


def test_a_flat_axis_places_everything_in_the_middle():
    assert Axis("x", 1, 1).place(1) == 0.5


def test_the_terminal_shows_one_reason_per_result():
    doubted = replace(result(), validity=Validity(verdict="NOISY", reasons=("it shook", "it ran")))
    shown = [line for line in result_table([doubted]).splitlines() if "it shook" in line]
    assert shown == [f"{doubted.name}: it shook (and 1 more, see the report)"]


def labels(drawn: str) -> list[tuple[float, float, float]]:
    """Return from where to where each label reaches, and its height."""
    pattern = r'class="label" x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)">([^<]*)'
    found = []
    for x, y, anchor, text in re.findall(pattern, drawn):
        end = float(x) + len(text) * LETTER * (1 if anchor == "start" else -1)
        found.append((min(float(x), end), max(float(x), end), float(y)))
    return found


def test_labels_of_near_dots_do_not_cover_each_other():
    points = [("one model", 1.0, 90.0), ("another model", 1.01, 90.0), ("a third", 1.02, 90.01)]
    found = labels(accuracy_cost(points, "ms"))
    assert len(found) == 3
    for i, (low, high, height) in enumerate(found):
        for before, after, other in found[:i]:
            assert high <= before or after <= low or abs(height - other) >= 14


def test_a_label_goes_to_the_other_side_before_it_leaves_its_height():
    ends = [("slow", 0.1, 91.0), ("fast", 30.0, 91.0)]
    points = [("a long name", 3.0, 90.0), ("another", 3.2, 90.0), *ends]
    left, right, *_ = labels(accuracy_cost(points, "ms"))
    assert left[2] == right[2]
    assert left[1] < right[0] - 20


def test_every_series_has_a_colour_of_its_own():
    from importlib.resources import files

    from edgesdk_benchmarks.report.svg import SERIES_COLOURS

    style = files("edgesdk_benchmarks.report").joinpath("style.css").read_text("utf-8")
    light, dark = style.split("@media (prefers-color-scheme: dark)", 1)
    for part in (light, dark.split("* {", 1)[0]):
        colours = re.findall(r"--c(\d+): (#\w+);", part)
        assert [int(number) for number, _ in colours] == list(range(SERIES_COLOURS))
        assert len({colour for _, colour in colours}) == SERIES_COLOURS
    assert all(f".s{i} {{ --c: var(--c{i}); }}" in style for i in range(SERIES_COLOURS))


@pytest.mark.skipif(executable() is None, reason="needs Chromium: make browser")
def test_the_picture_of_a_report_is_drawn_by_a_command(stored, tmp_path):
    page = report([stored(result("a"), result("bb"))], tmp_path / "out")
    picture = tmp_path / "report.png"
    command = [sys.executable, ROOT / "tools" / "report_picture.py", page, "-o", picture]
    subprocess.run(command, check=True, capture_output=True)
    with Image.open(picture) as drawn, Image.open(ROOT / "docs/images/report.png") as shown:
        assert drawn.size == shown.size
        assert len(drawn.convert("RGB").getcolors(1 << 16)) > 8
    gone = subprocess.run([*command[:2], tmp_path / "no.html"], capture_output=True, text=True)
    assert gone.returncode == 2
    assert "make demo" in gone.stderr


@pytest.mark.parametrize(
    ("effective", "said"),
    [
        ({"arithmetic": {"fp32": 3}}, "fp32"),
        ({"arithmetic": {"fp32": 1, "int8": 3}}, "int8 75%, fp32 25%"),
        ({"weights": {"fp16": 8}, "arithmetic": {}}, "fp16"),
        ({}, "unknown"),
    ],
)
def test_the_table_tells_in_which_precision_products_compute(effective, said):
    plain = result("a")
    assert computes_in(replace(plain, artefact={**plain.artefact, "effective": effective})) == said
