"""Ctrl-C is raised outside of imports only."""

import importlib
import json
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


def begun(*words, after):
    """Start the command and press Ctrl-C as soon as the line `after` has run."""
    script = (
        "import os, signal, sys\n"
        "sys.argv = ['edgesdk', *sys.argv[1:]]\n"
        "from edgesdk import __main__ as start\n"
        f"{after}\n"
        "sys.exit(start.main())"
    )
    words = [sys.executable, "-c", script, *words]
    return subprocess.run(words, capture_output=True, text=True, check=False)


IN_AN_IMPORT = """
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == 'edgesdk.cli':
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
"""
AFTER_THE_WORK = """
import edgesdk.cli
edgesdk.cli.main = lambda: os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.parametrize("after", [IN_AN_IMPORT, AFTER_THE_WORK])
def test_the_first_and_last_moments_answer_in_a_sentence(after):
    done = begun("models", after=after)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "edgesdk: interrupted; finished work is kept, the same command goes on\n"


def test_an_early_interrupt_is_one_json_document():
    done = begun("models", "--json", after=IN_AN_IMPORT)
    assert json.loads(done.stdout)["exit_code"] == done.returncode == 130


def test_nothing_is_said_once_all_is_done():
    after = "import atexit; atexit.register(os.kill, os.getpid(), signal.SIGINT)"
    done = begun("--version", after=after)
    assert done.returncode == -signal.SIGINT
    assert done.stderr == ""


def test_the_command_leaves_the_handlers_of_its_host():
    script = (
        "import signal; mine = lambda *_: None; signal.signal(signal.SIGINT, mine)\n"
        "from edgesdk.cli import main; main(['models', '-q'])\n"
        "assert signal.getsignal(signal.SIGINT) is mine"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def test_ignored_interrupts_stay_ignored():
    script = (
        "import os, signal; from edgesdk._interrupt import patient_interrupts\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "with patient_interrupts(): os.kill(os.getpid(), signal.SIGINT)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
