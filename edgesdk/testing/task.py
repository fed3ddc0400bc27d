"""The contract of a task: what each one must keep, whoever wrote it.

class TestMine(TaskContract):
    task = "mine"

    @pytest.fixture
    def info(self): ...          # a model of the task, as `edgesdk.core.task.ModelInfo`

    @pytest.fixture
    def place(self, tmp_path): ...     # an evaluation set, None where models cannot be judged

    @pytest.fixture
    def job(self, ...): ...      # a RunJob of a small bundle and files, None to leave `run` out
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesdk._options import argument_help, own_options
from edgesdk.core import plugins
from edgesdk.core.errors import UnsupportedError
from edgesdk.core.jobs import RunJob
from edgesdk.core.question import questions_of
from edgesdk.core.task import Evaluation, Headline, ModelInfo
from edgesdk.core.tensors import Array, Arrays, TensorSpec, check_inputs

COUNT = 5
# Inputs of every kind that a model of several inputs may have.
KINDS = (
    TensorSpec("mask", (None, 1, 16, 16), layout="NCHW", kind="mask"),
    TensorSpec("tokens", (None, 12), dtype="int64", kind="tokens", range=(0, 99)),
    TensorSpec("features", (None, 32), kind="features"),
    TensorSpec("sequence", (None, None, 8), layout="NTC", kind="features", range=(-1.0, 1.0)),
    TensorSpec("flags", (None, 3), dtype="bool"),
)


class TaskContract:
    """Subclass it, set `task`, and override the fixtures that the module's text shows."""

    task = ""

    @pytest.fixture
    def plugin(self) -> Any:
        """Return the plug-in under test."""
        return plugins.load(plugins.TASKS, self.task)

    @pytest.fixture
    def info(self) -> ModelInfo:
        """Return a model of the task."""
        raise NotImplementedError("override the fixture `info`")

    @pytest.fixture
    def place(self) -> Path | None:
        """Return an evaluation set, None where models of the task cannot be judged."""
        return None

    @pytest.fixture
    def job(self) -> RunJob | None:
        """Return what `run` is asked, None to leave it out."""
        return None

    def answer(self, info: ModelInfo, arrays: Arrays, noise: float = 0.0) -> dict[str, Array]:
        """Return outputs that hang on the inputs alone, blurred by `noise`."""
        rows = np.concatenate(
            [np.asarray(a, float).reshape(len(a), -1) for a in arrays.values()], 1
        )
        found = {}
        for spec in info.outputs:
            shape = tuple(4 if size is None else size for size in spec.shape[1:])
            rng = np.random.default_rng(len(spec.name))
            mixed = rows @ rng.standard_normal((rows.shape[1], int(np.prod(shape))))
            mixed = mixed / max(float(np.abs(mixed).max()), 1e-9)
            mixed = mixed + noise * rng.standard_normal(mixed.shape)
            found[spec.name] = mixed.reshape(len(rows), *shape).astype(spec.dtype)
        return found

    def test_it_says_what_an_item_is(self, plugin: Any) -> None:
        """Unit and live page are words."""
        assert plugin.item.isidentifier()
        assert plugin.item == plugin.item.lower()
        assert isinstance(plugin.live, str)

    def test_drawn_inputs_fit_the_model_and_hang_on_the_seed(
        self, plugin: Any, info: ModelInfo
    ) -> None:
        """Equal seeds give equal inputs, others do not."""
        one, same, other = (plugin.draw(info, COUNT, seed) for seed in (1, 1, 2))
        check_inputs(info.inputs, one.arrays)
        assert len(one) == one.total == COUNT
        assert one.what
        assert not one.hashes
        for name, array in one.arrays.items():
            assert np.array_equal(array, same.arrays[name])
            assert not np.array_equal(array, other.arrays[name])

    def test_more_inputs_of_other_kinds_are_drawn_as_well(
        self, plugin: Any, info: ModelInfo
    ) -> None:
        """Masks, tokens, vectors, sequences and flags beside the own inputs."""
        several = replace(info, inputs=(*info.inputs, *KINDS))
        arrays = plugin.draw(several, COUNT, 3).arrays
        check_inputs(several.inputs, arrays)
        assert set(np.unique(arrays["mask"])) == {0.0, 1.0}
        assert 0 <= arrays["tokens"].min() <= arrays["tokens"].max() <= 99
        assert -1 <= arrays["sequence"].min() <= arrays["sequence"].max() <= 1

    def test_drawn_pictures_are_pictures(self, plugin: Any) -> None:
        """Pictures are HxWx3 uint8 with something on them."""
        pictures = plugin.pictures(3, 0, 48)
        assert [p.shape for p in pictures] == [(48, 48, 3)] * 3
        assert all(p.dtype == np.uint8 and p.std() > 1 for p in pictures)

    def test_a_run_judged_beside_itself_loses_nothing(
        self, plugin: Any, info: ModelInfo, place: Path | None
    ) -> None:
        """Judging is repeatable and gives a finite value per item."""
        if place is None:
            with pytest.raises(UnsupportedError):
                plugin.evaluation(Path("anything"))
            return
        data: Evaluation = plugin.evaluation(place)
        assert len(data) > 0
        assert data.name
        assert data.counted
        assert len(data.sha256) == 64
        assert data.hashes()
        assert plugin.evaluation(place).sha256 == data.sha256
        check_inputs(info.inputs, data.samples(info, 3, 0).arrays)

        def run(arrays: Arrays) -> dict[str, Array]:
            return self.answer(info, arrays)

        one, other = plugin.judge(info, [run, run], data)
        assert len({metric.key for metric in one.metrics}) == len(one.metrics) > 0
        for metric, twin in zip(one.metrics, other.metrics, strict=True):
            assert np.isfinite(metric.value)
            assert np.isfinite(metric.items).all()
            assert metric.value == twin.value
            assert np.array_equal(metric.items, twin.items)
        json.dumps(dict(one.numbers))

    def test_a_stored_figure_is_read_with_its_name_and_set(self, plugin: Any) -> None:
        """A metric travels with its name, its set and the hash of that."""
        stored = {"metric": "m", "value": 0.5, "data": "some set", "data_sha256": "a" * 64}
        assert plugin.headline(stored) == Headline("m", "some set", 0.5, True, "a" * 64)
        assert plugin.headline({}) is None

    def test_every_option_of_run_is_explained(self, plugin: Any) -> None:
        """The command line takes help texts from "Args:"."""
        texts = argument_help(plugin.run)
        assert all(texts.get(name) for name in own_options(plugin.run)), "see Args: of run"

    def test_run_answers_plain_data_and_shows_it(self, plugin: Any, job: RunJob | None) -> None:
        """The answer is JSON, and a person gets lines."""
        if job is None:
            pytest.skip("no job was given to run")
        found = plugin.run(job)
        json.dumps(found, allow_nan=False)
        assert plugin.show(found).strip()

    def test_what_it_decides_can_be_asked_again(self, plugin: Any, job: RunJob | None) -> None:
        """Shares of answers for any pictures; a task without decisions says so in a sentence."""
        from edgesdk.verbs.load import load

        if job is None or not job.files:
            pytest.skip("no job with files was given to ask about")
        with load(job.bundle) as session:
            if not hasattr(plugin, "questions"):
                with pytest.raises(UnsupportedError, match="no class and no decision"):
                    questions_of(plugin, session, job.files)
                return
            for asked in questions_of(plugin, session, job.files):
                shares = asked.ask([asked.picture, asked.picture // 2])
                assert shares.shape == (2, len(asked.answers))
                assert ((shares >= 0) & (shares <= 1)).all()
                assert asked.kind.isidentifier()
