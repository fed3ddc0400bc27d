"""The contract of a runner: what each way to a remote device must keep, whoever wrote it.

class TestMine(RunnerContract):
    runner = "mine"

    @pytest.fixture
    def device(self):
        return "mine:1"  # a real device, or one that a test started
"""

from typing import Any

import pytest

from edgesdk.core import plugins
from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.protocols import Reach, RemoteJob
from edgesdk.core.result import BenchPlan

KINDS = ("android", "browser")


class RunnerContract:
    """Subclass it, set `runner`; give a `device` to measure on, and the bundle to measure.

    Attributes:
        runner: Name of the runner.
    """

    runner = ""

    @pytest.fixture
    def plugin(self) -> Any:
        """Return the plug-in under test."""
        return plugins.load(plugins.RUNTIMES, self.runner)

    @pytest.fixture
    def device(self) -> str:
        """Return a device that answers; a subclass gives it where one can be had."""
        pytest.skip(f"no device for {self.runner} here")

    @pytest.fixture
    def bundle(self) -> Bundle:
        """Return what to measure."""
        from edgesdk.core.shipped import open_bundle

        return open_bundle("bridge-face")

    @pytest.fixture
    def ready(self, plugin: Any) -> Any:
        """Return the plug-in; skips where what it needs is not installed."""
        absent = plugins.missing(plugin)
        why = f"it needs {', '.join(absent)}" if absent else plugin.available()
        if why is not None:
            pytest.skip(why)
        return plugin

    def test_says_what_it_is(self, plugin: Any) -> None:
        """It is remote, opens no session, and names its formats and its extra."""
        assert plugin.kind == "remote"
        assert not hasattr(plugin, "open")
        assert plugin.formats
        assert plugin.extra or not plugin.requires
        assert all(plugins.resolve(plugins.RUNTIMES, a) == self.runner for a in plugin.aliases)

    def test_devices_bear_its_name(self, ready: Any) -> None:
        """Whatever `devices` lists can be given to `--device`."""
        heads = {device.partition(":")[0] for device in ready.devices()}
        assert heads <= {self.runner, *ready.aliases}

    def test_an_absent_device_is_a_sentence(self, ready: Any, bundle: Bundle) -> None:
        """A device that is not there is refused before anything is measured."""
        jobs = [RemoteJob(bundle, BenchPlan(duration_s=0.1))]
        with pytest.raises((UnsupportedError, UsageError), match=r"\w"):
            ready.bench(jobs, f"{self.runner}:no-such-device", Reach(timeout_s=5))

    def test_a_device_gives_raw_times_of_every_job(
        self, ready: Any, bundle: Bundle, device: str
    ) -> None:
        """One result per job, in order, labelled, with samples and warm-ups in nanoseconds."""
        plans = [BenchPlan(scenario=s, duration_s=0.2) for s in ("latency", "throughput")]
        found = ready.bench([RemoteJob(bundle, p) for p in plans], device, Reach(timeout_s=120))
        assert [r.plan.scenario for r in found] == ["latency", "throughput"]
        for result in found:
            assert result.device["kind"] in KINDS
            assert isinstance(result.runtime["native"], bool)
            assert result.infer.samples
            assert result.infer.warmups
            assert all(100 < ns < 6e10 for ns in result.infer.samples)
