"""Every runner of the project keeps the public contract.

Whole visits, on devices that the tests start, are in tests/runtimes/test_browser.py and
tests/runtimes/test_adb_daemon.py: they drive the command, as a user does.
"""

from edgesdk.core import plugins
from edgesdk.testing.runner import RunnerContract


class TestAdb(RunnerContract):
    runner = "adb"


class TestBrowser(RunnerContract):
    runner = "browser"


def test_every_runner_is_covered():
    remote = {n for n, p in plugins.every(plugins.RUNTIMES) if p.kind == "remote"}
    assert {c.runner for c in RunnerContract.__subclasses__()} == remote
