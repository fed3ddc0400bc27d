import logging
import os
import sys
import warnings

import pytest

from edgesdk.core.errors import EdgeSdkError, UnsupportedError
from edgesdk.core.hush import hush
from edgesdk_export._quiet import brief, converting


def test_nothing_gets_out_not_even_from_below_python(capfd):
    with hush():
        sys.stdout.write("chatter\n")
        os.write(1, b"from C\n")
        os.write(2, b"from C\n")
        warnings.warn("odd", stacklevel=1)
        logging.getLogger("torch.onnx").warning("odd")
    sys.stdout.write("after\n")
    os.write(2, b"after\n")
    told = capfd.readouterr()
    assert (told.out, told.err) == ("after\n", "after\n")


def test_what_a_converter_raises_is_one_sentence():
    with (
        pytest.raises(EdgeSdkError, match="tool cannot convert this network: a b; take") as caught,
        converting("tool"),
    ):
        raise RuntimeError("a\n   b")
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("in /home/me/.venv/lib/x.py:7: bad", "in x.py:7: bad"),
        ("in C:\\Users\\me\\x.py: bad", "in x.py: bad"),
        ("node 15 failed to prepare.node 15 failed to prepare.", "node 15 failed to prepare."),
        ("of 1/2, and/or N/A", "of 1/2, and/or N/A"),
        ("from out/.net.stage-1/x.onnx failed:/src/core/x.cc:46 bad", "from x.onnx failed:x.cc:46"),
        ("\x1b[96mstep\x1b[0m 1", "step 1"),
        ("word " * 2000, "word " * 1),
        ("", "ValueError"),
    ],
)
def test_a_tool_is_quoted_without_folders_and_once(said, told):
    assert brief(ValueError(said)).startswith(told.strip())
    assert len(brief(ValueError(said))) < 250


@pytest.mark.parametrize(
    "error", [UnsupportedError("own"), OSError(28, "full"), KeyboardInterrupt()]
)
def test_own_errors_disks_and_interrupts_pass_through(error):
    with pytest.raises(type(error)), converting("tool"):
        raise error


def test_streams_come_back_after_an_error(capfd):
    with pytest.raises(EdgeSdkError), converting("tool"):
        raise ValueError
    sys.stdout.write("back\n")
    assert capfd.readouterr().out == "back\n"


def fails_in_steps():
    try:
        raise ValueError("no such axis")
    except ValueError as error:
        raise RuntimeError("Failed to export. This is step 1 of 3.") from error


def test_what_an_error_began_with_is_told():
    with (
        pytest.raises(EdgeSdkError, match="convert this network: no such axis; take"),
        converting("tool"),
    ):
        fails_in_steps()
