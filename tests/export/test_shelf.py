"""Networks of others, to every target and precision; the whole shelf is tools/support.py."""

import json
import re

import pytest

pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("onnxscript", reason="needs the export extra")

from edgesdk.core import plugins
from tests.messages import FOREIGN
from tools import support
from tools.shelf import NETS, SMALL, make

ROWS = json.loads(support.RESULT.read_text())["rows"]
# Our own words come first, then what a tool said.
OURS = re.compile(
    r"batch \d+: |int8 leaves |[\w.-]+ (differs from its source|could not be proven|cannot "
    r"convert this network|refuses the network)|target '\w+' at \w+ cannot|precision '\w+' "
)
FAST = [("prelu-shared", "reference", "fp32"), ("normalize", "onnx", "int8"),
        ("attention", "onnx", "fp16"), ("baked-batch-2", "onnx", "fp32")]  # fmt: skip
SOME = ("normalize", "prelu-shared", "attention", "transposed", "bicubic", "gru", "tokens",
        "two-outputs")  # fmt: skip
SLOW = [
    (net, target, precision)
    for net in SOME
    for target, precisions in support.PRECISIONS.items()
    for precision in precisions
]


def place(row):
    return row["net"], row["target"], row["precision"]


def check(net, target, precision):
    needs = plugins.missing(plugins.load(plugins.EXPORTERS, target))
    if needs:
        pytest.skip(f"needs {', '.join(needs)}")
    row = support.outcome(net, target, precision)
    [told] = [
        r for r in ROWS if (r["net"], r["target"], r["precision"]) == (net, target, precision)
    ]
    assert row["outcome"] == told["outcome"], row["said"]
    assert not FOREIGN.search(row["said"])


@pytest.mark.parametrize(("net", "target", "precision"), FAST)
def test_the_table_says_what_happens(net, target, precision):
    check(net, target, precision)


@pytest.mark.slow
@pytest.mark.parametrize(("net", "target", "precision"), SLOW)
def test_the_table_says_what_happens_to_every_target(net, target, precision):
    check(net, target, precision)


def test_every_small_network_and_column_is_in_the_table():
    found = {place(row) for row in ROWS}
    measured = {target for _, target, _ in found}
    wanted = {(n, t, p) for n in SMALL for t in measured for p in support.PRECISIONS[t]}
    assert wanted <= found
    assert len(measured) >= 5
    assert {net for net, _, _ in found} <= set(NETS)
    assert {row["outcome"] for row in ROWS} <= set(support.MARKS)


@pytest.mark.parametrize(
    "row", [r for r in ROWS if r["said"]], ids=lambda r: "-".join(list(r.values())[:3])
)
def test_every_message_begins_with_a_sentence_of_ours(row):
    assert OURS.match(row["said"])
    assert not FOREIGN.search(row["said"])
    if row["outcome"] == "refused":
        assert row["exit_code"] in (1, 3, 4)
        assert "take " in row["said"] or "--" in row["said"]


@pytest.mark.parametrize("name", SMALL)
def test_a_network_of_the_shelf_depends_on_its_input(name):
    import torch

    module, examples = make(name)
    torch.manual_seed(1)
    drawn = [torch.rand_like(x) if x.is_floating_point() else x + 1 for x in examples]
    with torch.no_grad():
        one, other = (module(*x) for x in (examples, drawn))
    first, second = (y[0] if isinstance(y, tuple) else y for y in (one, other))
    assert (first - second).abs().max() > 1e-3


def test_every_network_has_a_name_that_the_command_line_takes():
    from tools import shelf

    for name in NETS:
        assert callable(getattr(shelf, name.replace("-", "_")))
    with pytest.raises(AttributeError):
        shelf.no_such_network  # noqa: B018
