"""The contract of a recipe: what each training method must keep, whoever wrote it.

class TestMine(RecipeContract):
    recipe = "mine"
    settings = {"epochs": 1}
    data = {"public": [Path("synthetic")]}
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar

import pytest

from edgesdk.core import plugins
from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.errors import UsageError
from edgesdk.core.protocols import RunResult

ROLES = (
    "public", "private", "clients", "pairs", "video", "images", "one-image", "captions", "masks",
)  # fmt: skip


class _KilledError(Exception):
    """Stands for the end of a process."""


class RecipeContract:
    """Subclass it, set `recipe`, and give settings and data of a run of seconds.

    Attributes:
        recipe: Name of the recipe.
        settings: Settings of a tiny run.
        data: Role -> paths.
    """

    recipe = ""
    settings: ClassVar[Mapping[str, Any]] = {}
    data: ClassVar[Mapping[str, Sequence[Path]]] = {}

    @pytest.fixture
    def plugin(self) -> Any:
        """Return the plug-in under test; skips where what it needs is not installed."""
        plugin = plugins.load(plugins.RECIPES, self.recipe)
        absent = plugins.missing(plugin)
        if absent:
            pytest.skip(f"recipe {self.recipe} needs {', '.join(absent)}")
        return plugin

    def train(self, out: Path, **options: Any) -> RunResult:
        """Run the recipe into `out`."""
        from edgesdk_training._train import train

        settings = {**self.settings, **options.pop("settings", {})}
        return train(self.recipe, settings=settings, data=self.data, out=out, **options)

    def content(self, result: RunResult) -> dict[str, bytes]:
        """Return the bytes of all weights and artefacts of a run."""
        weights = {n: read_checkpoint(p).weights_path for n, p in result.checkpoints.items()}
        return {n: p.read_bytes() for n, p in {**weights, **result.artefacts}.items()}

    def test_says_what_it_is_and_needs(self) -> None:
        """Aliases lead to it; students and roles are known; importing it needs nothing."""
        plugin = plugins.load(plugins.RECIPES, self.recipe)
        assert all(plugins.resolve(plugins.RECIPES, a) == self.recipe for a in plugin.aliases)
        assert all(plugins.resolve(plugins.STUDENTS, s) == s for s in plugin.students)
        assert set(plugin.needs) <= set(ROLES)

    def test_every_setting_has_a_default_and_a_meaning(self) -> None:
        """Settings are flat and told in the docstring, from where the user reads them."""
        settings = plugins.load(plugins.RECIPES, self.recipe).settings
        text = settings.__doc__ or ""
        assert settings() == settings()
        assert [f.name for f in fields(settings) if f"{f.name}:" not in text] == []

    def test_a_run_leaves_weights_a_log_and_finite_metrics(
        self, plugin: Any, tmp_path: Path
    ) -> None:
        """Everything that the result names lies in the run's folder."""
        result = self.train(tmp_path)
        assert self.content(result)
        assert (result.folder / "log.jsonl").is_file()
        assert all(value == value and abs(value) < 1e9 for value in result.metrics.values())
        for path in (*result.checkpoints.values(), *result.artefacts.values()):
            assert path.is_relative_to(result.folder)

    def test_the_seed_decides_everything(self, plugin: Any, tmp_path: Path) -> None:
        """On the CPU one seed gives one set of bytes, another one gives another."""
        first, again = self.train(tmp_path / "a"), self.train(tmp_path / "b")
        assert self.content(first) == self.content(again)
        assert self.content(self.train(tmp_path / "c", seed=1)) != self.content(first)

    def test_a_run_killed_after_any_state_ends_alike(
        self, plugin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Stop after each stored state in turn; the same command goes on to equal bytes."""
        from edgesdk_training.context import Context

        honest = Context.save

        def save_and_die(context: Any, phase: str, state: Any) -> None:
            honest(context, phase, state)
            raise _KilledError

        monkeypatch.setattr(Context, "save", save_and_die)
        deaths = 0
        while True:
            try:
                result = self.train(tmp_path / "killed")
            except _KilledError:
                deaths += 1
                assert deaths < 100, "the run never gets past its first state"
            else:
                break
        monkeypatch.setattr(Context, "save", honest)
        assert deaths
        assert self.content(result) == self.content(self.train(tmp_path / "whole"))

    def test_missing_data_is_named(self, plugin: Any, tmp_path: Path) -> None:
        """Without its data a recipe says which role it lacks."""
        from edgesdk_training._train import train

        if plugin.needs:
            with pytest.raises(UsageError, match=plugin.needs[0]):
                train(self.recipe, settings=self.settings, data={}, out=tmp_path)
