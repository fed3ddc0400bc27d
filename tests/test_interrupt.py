"""Ctrl-C is raised outside of imports only."""

import importlib
import os
import signal
import subprocess
import sys

import pytest

from edgesdk._interrupt import patient_interrupts


def test_work_is_interrupted_at_once_and_the_handler_is_put_back():
    with pytest.raises(KeyboardInterrupt), patient_interrupts():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_import_is_finished_first(tmp_path, monkeypatch):
    (tmp_path / "patient_module.py").write_text(
        "import os, signal\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\n    whole = True\n"
        "except BaseException:\n    whole = False\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        import_and_wait()
    assert sys.modules["patient_module"].whole


def import_and_wait():
    with patient_interrupts():
        importlib.import_module("patient_module")
        signal.pause()


def test_ignored_interrupts_stay_ignored():
    script = (
        "import os, signal; from edgesdk._interrupt import patient_interrupts\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "with patient_interrupts(): os.kill(os.getpid(), signal.SIGINT)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
