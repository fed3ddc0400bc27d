"""The contract of a runtime: what each must keep, whoever wrote it.

class TestMine(RuntimeContract):
    runtime = "mine"

    @pytest.fixture
    def bundle(self):
        return edgesdk.core.bundle.read_bundle("...")
"""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesdk.core import plugins
from edgesdk.core.batches import repeated
from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.golden import Golden, read_golden
from edgesdk.core.session import Session
from edgesdk.core.tensors import Array, Arrays

THREADS, RUNS = 4, 40
FORMS: dict[str, Callable[[Array, Path], Array]] = {
    "stepped": lambda array, _: np.repeat(array, 2, -1)[..., ::2],
    "other-order": lambda array, _: np.asfortranarray(array),
    "read-only": lambda array, _: np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape),
    "memory-mapped": lambda array, path: _mapped(array, path),
}
# Rows of one batch may differ from rows run alone by the order of additions.
ROW_TOLERANCE = 2e-6


def _mapped(array: Array, path: Path) -> Array:
    np.save(path, array)
    mapped: Array = np.load(path, mmap_mode="r")
    return mapped


class RuntimeContract:
    """Subclass it, set `runtime`, and give a `bundle` with golden vectors and a free batch.

    Attributes:
        runtime: Name of the runtime.
        device: Device to open it on, "" for the runtime's first.
        row_tolerance: Largest difference of a row run in a batch from the row run alone.
    """

    runtime = ""
    device = ""
    row_tolerance = ROW_TOLERANCE

    @pytest.fixture
    def bundle(self) -> Bundle:
        """Return what to open; a subclass gives it."""
        raise NotImplementedError

    @pytest.fixture
    def plugin(self) -> Any:
        """Return the plug-in under test; skips where it cannot run."""
        plugin = plugins.load(plugins.RUNTIMES, self.runtime)
        why = plugin.available()
        if why is not None:
            pytest.skip(why)
        if self.device and self.device not in plugin.devices():
            found = ", ".join(plugin.devices())
            pytest.skip(f"{self.runtime} finds {found} here, {self.device} is tested")
        return plugin

    @pytest.fixture
    def session(self, plugin: Any, bundle: Bundle) -> Iterator[Session]:
        """Open the bundle on one thread."""
        device = self.device or plugin.devices()[0]
        with Session(plugin.open(bundle, device, 1), device, 1) as opened:
            yield opened

    @pytest.fixture
    def golden(self, bundle: Bundle) -> Golden:
        """Return what the bundle must answer."""
        return read_golden(bundle)

    def test_says_what_it_is(self, plugin: Any, bundle: Bundle) -> None:
        """Aliases lead to it, a version and devices are named, the kind is a known one."""
        assert all(plugins.resolve(plugins.RUNTIMES, a) == self.runtime for a in plugin.aliases)
        assert bundle.format in plugin.formats
        assert plugin.kind in ("native", "interpreter")
        assert plugin.version()
        assert "cpu" in plugin.devices() or plugin.devices()[0].startswith("cuda")

    def test_gives_the_golden_outputs(self, session: Session, golden: Golden) -> None:
        """The numbers are those of the source, within the bundle's tolerance."""
        assert golden.reasons(session.run(golden.inputs)) == []

    def test_outputs_are_as_specified(self, session: Session, golden: Golden) -> None:
        """Names, shapes and types are those of the bundle."""
        found = session.run(repeated(golden.inputs, 3))
        assert list(found) == [spec.name for spec in session.bundle.outputs]
        for spec in session.bundle.outputs:
            assert found[spec.name].shape == (3, *spec.shape[1:])
            assert found[spec.name].dtype == np.dtype(spec.dtype)

    def test_a_row_does_not_depend_on_its_batch(self, session: Session, golden: Golden) -> None:
        """Batches of 1, 3 and 8 give equal rows, in any order of calls."""
        alone = self._alone(session, golden)
        for size in (8, 3, 1, 8):
            rows = session.run(repeated(golden.inputs, size))
            for name, want in alone.items():
                wanted = np.resize(want, rows[name].shape)
                assert np.abs(rows[name] - wanted).max() <= self.row_tolerance

    def _alone(self, session: Session, golden: Golden) -> Arrays:
        count = len(next(iter(golden.inputs.values())))
        rows = [
            session.run({n: a[i : i + 1] for n, a in golden.inputs.items()}) for i in range(count)
        ]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    def test_results_belong_to_the_caller(self, session: Session, golden: Golden) -> None:
        """A second run, or writing into a result, changes no other result and no input."""
        inputs = repeated(golden.inputs, 2)
        kept = {name: array.copy() for name, array in inputs.items()}
        first = session.run(inputs)
        copy = {name: array.copy() for name, array in first.items()}
        session.run({name: array * 0 for name, array in inputs.items()})
        assert all(np.array_equal(first[n], copy[n]) for n in copy)
        for array in first.values():
            array[...] = 7
        again = session.run(inputs)
        assert all(np.allclose(again[n], copy[n], atol=self.row_tolerance) for n in copy)
        assert all(np.array_equal(inputs[n], kept[n]) for n in kept)

    def test_two_sessions_live_side_by_side(
        self, plugin: Any, session: Session, golden: Golden
    ) -> None:
        """Closing one leaves the other alone; the number of threads changes no result."""
        want = session.run(golden.inputs)
        device = session.device
        with Session(plugin.open(session.bundle, device, 2), device, 2) as other:
            found = other.run(golden.inputs)
        assert all(np.allclose(found[n], want[n], atol=self.row_tolerance) for n in want)
        assert golden.reasons(session.run(golden.inputs)) == []

    def test_closing_twice_is_allowed_and_running_after_is_not(
        self, session: Session, golden: Golden
    ) -> None:
        """A closed session says so in one sentence."""
        session.close()
        session.close()
        with pytest.raises(EdgeSdkError, match="closed"):
            session.run(golden.inputs)

    def test_threads_share_a_session(self, session: Session, golden: Golden) -> None:
        """Threads that run other items at the same time each get their own rows."""
        want, count = self._alone(session, golden), len(next(iter(golden.inputs.values())))

        def rows(thread: int) -> list[tuple[int, dict[str, Any]]]:
            items = [(thread + turn) % count for turn in range(RUNS)]
            return [(i, session.run({n: a[[i]] for n, a in golden.inputs.items()})) for i in items]

        with ThreadPoolExecutor(THREADS) as pool:
            answers = [answer for part in pool.map(rows, range(THREADS)) for answer in part]
        for item, found in answers:
            for name, array in found.items():
                assert np.abs(array - want[name][[item]]).max() <= self.row_tolerance

    def test_threads_may_take_batches_of_other_sizes(
        self, session: Session, golden: Golden
    ) -> None:
        """A session whose batch changes while other threads run gives each its own rows."""
        want = self._alone(session, golden)

        def rows(size: int) -> list[dict[str, Any]]:
            return [session.run(repeated(golden.inputs, size)) for _ in range(RUNS // 4)]

        with ThreadPoolExecutor(THREADS) as pool:
            for found in (each for part in pool.map(rows, (1, 2, 3, 5)) for each in part):
                for name, array in found.items():
                    wanted = np.resize(want[name], array.shape)
                    assert np.abs(array - wanted).max() <= self.row_tolerance

    def test_closing_while_others_run_loses_nothing(self, session: Session, golden: Golden) -> None:
        """A run in progress ends with its rows, the next one says that the session is closed."""

        def rows(_: int) -> str:
            while True:
                try:
                    assert golden.reasons(session.run(golden.inputs)) == []
                except EdgeSdkError as error:
                    return str(error)

        with ThreadPoolExecutor(THREADS) as pool:
            said = pool.map(rows, range(THREADS))
            session.run(golden.inputs)
            session.close()
        assert all("closed" in sentence for sentence in said)

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("value", [3e38, -3e38, 1e20])
    def test_huge_inputs_give_finite_outputs_or_a_sentence(
        self, session: Session, golden: Golden, value: float
    ) -> None:
        """NaN, infinity and vectors of no length never come out of finite inputs."""
        inputs = {
            name: np.full_like(array[:1], value) if array.dtype == np.float32 else array[:1]
            for name, array in golden.inputs.items()
        }
        try:
            found = session.run(inputs)
        except EdgeSdkError as error:
            said = ("NaN or infinity", "not of unit length")
            assert any(words in str(error) for words in said)  # noqa: PT017 - either is right
        else:
            assert all(np.isfinite(array).all() for array in found.values())
        assert golden.reasons(session.run(golden.inputs)) == []

    @pytest.mark.parametrize("kind", sorted(FORMS))
    def test_any_way_to_hold_the_values_gives_the_same(
        self, session: Session, golden: Golden, tmp_path: Path, kind: str
    ) -> None:
        """Steps, order and protection of memory change no value."""
        inputs = {n: FORMS[kind](a, tmp_path / f"{n}.npy") for n, a in golden.inputs.items()}
        want = session.run(golden.inputs)
        found = session.run(inputs)
        assert all(np.allclose(found[n], want[n], atol=self.row_tolerance) for n in want)

    @pytest.mark.parametrize("inputs", [None, 1, [], "image", np.zeros(3, np.float32)])
    def test_what_is_no_dictionary_is_refused_in_a_sentence(
        self, session: Session, inputs: Any
    ) -> None:
        """The sentence shows what to pass."""
        with pytest.raises(UsageError, match="must be a dictionary of input name -> array"):
            session.run(inputs)

    def test_wrong_input_is_refused_in_a_sentence(self, session: Session, golden: Golden) -> None:
        """Names, shapes, types and NaN are checked before the runtime sees them."""
        name = session.bundle.inputs[0].name
        good = repeated(golden.inputs, 1)
        spoiled = good[name].copy()
        spoiled.flat[0] = np.nan
        wrong: list[dict[Any, Any]] = [
            {},
            {**good, "nothing": good[name]},
            {**good, name: good[name].astype(np.float64)},
            {**good, name: good[name][..., :-1]},
            {**good, name: good[name][:0]},
            {**good, name: spoiled},
            {**good, name: np.swapaxes(spoiled, 0, -1)},
            {**good, name: good[name].astype(good[name].dtype.newbyteorder())},
            {**good, name: good[name].astype(object)},
            {**good, name: np.array(["a"])},
            {**good, name: None},
            {**good, name: [[1], [1, 2]]},
            {**good, 1: good[name]},
        ]
        for inputs in wrong:
            with pytest.raises(UsageError, match=r"\w"):
                session.run(inputs)

    @pytest.mark.parametrize("left", [0, 0.5])
    def test_a_damaged_file_is_refused_in_a_sentence(
        self, plugin: Any, bundle: Bundle, golden: Golden, tmp_path: Path, left: float
    ) -> None:
        """What a killed download leaves opens as nothing, or as what refuses to run."""
        copy = shutil.copytree(bundle.path, tmp_path / "damaged")
        entry = copy / bundle.entry
        for path in [entry, *entry.rglob("*")]:
            if path.is_file():
                content = path.read_bytes()
                path.write_bytes(content[: int(left * len(content))])
        device = self.device or plugin.devices()[0]
        with pytest.raises(EdgeSdkError, match=r"\w"):  # noqa: SIM117 - where is open
            with Session(plugin.open(replace(bundle, path=copy), device, 1), device, 1) as opened:
                opened.run(golden.inputs)

    def test_placement_counts_operators_or_is_unknown(self, session: Session) -> None:
        """Unknown is None, never 0."""
        placement = session.placement()
        assert placement is None or (placement and all(n > 0 for n in placement.values()))
