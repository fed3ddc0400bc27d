"""Federated training: the objectives, who has what, whom the server believes."""

import dataclasses
import re

import numpy as np
import pytest

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError
from edgesdk_training.federated import split
from edgesdk_training.federated.plot import distribution
from tests.training.conftest import CLASSES

torch = pytest.importorskip("torch", reason="needs the train extra")

from edgesdk_training.federated import objectives, server  # noqa: E402
from edgesdk_training.federated.local import whole_state  # noqa: E402
from edgesdk_training.federated.networks import configured, network  # noqa: E402
from edgesdk_training.federated.seam import Job, Update  # noqa: E402
from edgesdk_training.federated.settings import FederatedSettings  # noqa: E402
from edgesdk_training.methods.fedavg import FedAvg  # noqa: E402
from edgesdk_training.students.bridge_face import PLUGIN as BRIDGE_FACE  # noqa: E402
from edgesdk_training.students.class_net import Config  # noqa: E402


def scores(seed, count=50, classes=10):
    return torch.randn(count, classes, generator=torch.Generator().manual_seed(seed))


class TestObjectives:
    labels = torch.arange(50) % 2
    common = torch.tensor([True, True] + [False] * 8)

    def test_lmd_is_the_published_formula(self):
        student, teacher = scores(0), scores(1)
        own = 1000 * torch.nn.functional.one_hot(self.labels, 10)
        theirs = torch.softmax(teacher / 2 - 1000 * self.common - own, 1)
        ours = torch.log_softmax(student / 2 - own, 1)
        wanted = 4 * torch.nn.functional.kl_div(ours, theirs, reduction="batchmean")
        found = objectives.masked(student, teacher, self.labels, self.common, 2.0)
        assert found == pytest.approx(float(wanted), rel=1e-5)

    def test_without_a_teacher_all_rare_classes_are_alike_whatever_the_batch(self):
        student = scores(0)
        ours = torch.log_softmax(student - 1000 * torch.nn.functional.one_hot(self.labels, 10), 1)
        wanted = (np.log(1 / 8) - ours[:, 2:].mean(1)).mean()
        found = objectives.masked(student, None, self.labels, self.common, 1.0)
        assert found == pytest.approx(float(wanted), rel=1e-5)

    @pytest.mark.parametrize("teacher", [scores(1), None], ids=["teacher", "none"])
    def test_no_rare_class_but_the_labels_own_adds_nothing(self, teacher):
        common = torch.ones(10, dtype=torch.bool)
        common[0] = False
        labels = torch.zeros(50, dtype=torch.int64)
        assert objectives.masked(scores(0), teacher, labels, common, 1.0) == 0

    def test_a_client_with_all_classes_alike_does_as_fedntd(self):
        common = objectives.majority(torch.full((10,), 7))
        assert not common.any()
        labels = torch.arange(50) % 10
        lmd = objectives.masked(scores(0), scores(1), labels, common, 1.0)
        assert lmd == objectives.not_true(scores(0), scores(1), labels, 1.0)

    def test_the_majority_counts_absent_classes_as_none(self):
        assert objectives.majority(torch.tensor([4, 6, 0, 0, 0])).tolist() == [True, True] + 3 * [
            False
        ]

    def test_several_teachers_joined_are_the_sum_of_their_distances(self):
        student, teachers = scores(0), [(0.3, scores(1)), (0.7, 9 * scores(2))]
        wanted = sum(part * objectives.softened(student, told, 2.0) for part, told in teachers)
        found = objectives.apart(student, *objectives.joined(teachers, 2.0), 2.0)
        assert found == pytest.approx(float(wanted), rel=1e-5)

    def test_soft_answers_of_equals_are_no_distance(self):
        assert float(objectives.softened(scores(0), scores(0), 3.0)) == pytest.approx(0, abs=1e-6)


class TestSplit:
    labels = np.arange(200) % 10

    @pytest.mark.parametrize("skew", ["shards:2", "dirichlet:0.1", "even", "people"])
    def test_everything_has_one_owner_and_the_seed_decides(self, skew):
        parts = split.divide(self.labels, 5, skew, 3)
        assert sorted(np.concatenate(parts).tolist()) == list(range(200))
        again = split.divide(self.labels, 5, skew, 3)
        assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))
        other = split.divide(self.labels, 5, skew, 4)
        assert not all(np.array_equal(a, b) for a, b in zip(parts, other, strict=True))

    def test_two_shards_hold_few_classes(self):
        table = split.counts(self.labels, split.divide(self.labels, 10, "shards:2", 0), 10)
        assert (table > 0).sum(1).max() <= 2

    def test_people_have_one_owner_each(self):
        table = split.counts(self.labels, split.divide(self.labels, 4, "people", 0), 10)
        assert ((table > 0).sum(0) == 1).all()

    @pytest.mark.parametrize("skew", ["shards", "shards:0.5", "dirichlet:x", "even:3", "odd:1"])
    def test_what_makes_no_sense_is_refused(self, skew):
        with pytest.raises(UsageError, match="skew"):
            split.check_skew(skew)

    def test_too_few_pictures_are_told(self):
        with pytest.raises(UsageError, match="too few for 150 clients"):
            split.divide(self.labels, 150, "even", 0)
        with pytest.raises(UsageError, match="too few for 11 clients"):
            split.divide(self.labels, 11, "people", 0)

    def test_a_client_is_judged_by_pictures_that_it_did_not_learn_from(self):
        learn, kept = split.held_out(np.arange(10, 20), 0.2, 0, 0)
        assert len(kept) == 2
        assert sorted([*learn, *kept]) == list(range(10, 20))


def job(method, kept=None, number=1, **settings):
    config = Config(size=8, classes=CLASSES, width=2, hidden=6)
    model = network("class-net", config, CLASSES, 0)
    begun = whole_state(model)
    random = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (20, 8, 8, 3), dtype=torch.uint8, generator=random)
    shared = {name: begun[name] for name in method.shared(list(begun))}
    return Job(
        model, begun, shared, kept, images, torch.arange(20) % 2, CLASSES,
        FederatedSettings(**{"local_epochs": 1, **settings}), number, 0, 0,
    )  # fmt: skip


def loaded(name):
    return plugins.load(plugins.METHODS, name)


class TestMethods:
    @pytest.mark.parametrize("name", plugins.names(plugins.METHODS))
    def test_a_round_is_repeatable_and_shares_no_more_than_it_says(self, name):
        method = loaded(name)
        first, again = method.local(job(method)), method.local(job(method))
        assert set(first.shared) == set(method.shared(list(first.kept)))
        assert all(torch.equal(t, again.kept[k]) for k, t in first.kept.items())
        assert server.fault(first, job(method).received, 1) is None

    @pytest.mark.parametrize("name", ["fedper", "fedbsd"])
    def test_a_private_head_never_leaves_and_starts_where_it_was_left(self, name):
        method = loaded(name)
        update = method.local(job(method))
        assert not [tensor for tensor in update.shared if tensor.startswith("head")]
        kept = {k: torch.full_like(t, 0.25) for k, t in update.kept.items()}
        after = method.local(job(method, kept, lr=1e-9)).kept
        assert torch.allclose(after["head.bias"], torch.tensor(0.25))
        assert not torch.allclose(after["hidden.bias"], torch.tensor(0.25))

    @pytest.mark.parametrize(
        ("name", "number", "kept", "looked"),
        [
            ("fedckd", 0, False, 0), ("fedckd", 1, False, 20), ("fedckd", 1, True, 40),
            ("pfedsd", 1, False, 0), ("pfedsd", 1, True, 20), ("fedlmd", 1, True, 20),
            ("fedntd", 1, True, 20), ("fedbsd", 1, True, 20), ("fedavg", 1, True, 0),
        ],
    )  # fmt: skip
    def test_who_teaches_when(self, name, number, kept, looked):
        method = loaded(name)
        state = method.local(job(method)).kept if kept else None
        update = method.local(job(method, state, number))
        assert update.scalars["teacher_pictures"] == looked

    def test_fedlmd_without_a_teacher_asks_none(self, monkeypatch):
        def asked(*_):
            raise AssertionError("a teacher was asked")

        monkeypatch.setattr("edgesdk_training.methods.fedlmd.answers", asked)
        method = loaded("fedlmd")
        update = method.local(job(method, teacher_free=True))
        assert update.scalars["teacher_pictures"] == 0
        with pytest.raises(AssertionError, match="asked"):
            method.local(job(method))

    def test_nothing_is_taught_where_the_weight_is_none(self):
        plain = loaded("fedavg").local(job(loaded("fedavg")))
        for name in ("fedlmd", "fedntd", "fedckd", "fedprox"):
            update = loaded(name).local(job(loaded(name), distil=0.0, mu=0.0))
            for key, tensor in plain.kept.items():
                assert torch.allclose(tensor, update.kept[key], atol=1e-6)

    def test_what_a_method_adds_changes_what_is_learnt(self):
        plain = loaded("fedavg").local(job(loaded("fedavg"), local_epochs=3))
        for name in ("fedlmd", "fedntd", "fedckd", "fedprox"):
            update = loaded(name).local(job(loaded(name), distil=5.0, mu=5.0, local_epochs=3))
            assert not torch.allclose(plain.kept["head.bias"], update.kept["head.bias"])

    def test_the_merge_is_the_weighted_mean(self):
        updates = [
            Update(n, 0, {"a": torch.tensor([float(n)])}, {}, 1) for n in (0, 3)
        ]  # fmt: skip
        assert loaded("fedavg").merge(updates, [0.25, 0.75])["a"].tolist() == [2.25]


class TestServer:
    expected = {"a": torch.zeros(2), "b": torch.zeros(1)}  # noqa: RUF012

    def update(self, client=0, number=0, examples=10, **shared):
        sent = {**self.expected, **shared}
        return Update(client, number, sent, {}, examples)

    @pytest.mark.parametrize(
        ("changed", "why"),
        [
            ({"a": torch.tensor([1.0, float("nan")])}, "a holds numbers that are not finite"),
            ({"a": torch.zeros(3)}, r"a has the shape \[3\] instead of \[2\]"),
            ({"c": torch.zeros(1)}, r"other tensors \(c\)"),
            ({"number": 3}, "belongs to round 4"),
            ({"examples": 0}, "learnt from 0 pictures"),
        ],
    )
    def test_what_cannot_be_merged_is_left_out_and_named(self, changed, why, caplog):
        caplog.set_level("INFO", "edgesdk")
        bad = self.update(client=7, **changed)
        good, dropped = server.believed([self.update(), bad], {3: "it hung"}, self.expected, 0)
        assert [u.client for u in good] == [0]
        assert set(dropped) == {3, 7}
        assert "client 3 is left out: it hung" in caplog.text
        assert re.search(why, dropped[7])

    def test_a_client_that_claims_a_million_pictures_is_bounded(self):
        settings = FederatedSettings(most=4.0)
        honest = server.weights(settings, [10, 20, 30])
        assert honest == pytest.approx([1 / 6, 2 / 6, 3 / 6])
        assert server.weights(settings, [10, 10, 10, 10**9])[-1] == pytest.approx(4 / 7)
        uniform = dataclasses.replace(settings, mean="uniform")
        assert server.weights(uniform, [10, 10**9]) == [0.5, 0.5]

    def test_without_a_quorum_nothing_changes(self):
        settings, method = FederatedSettings(quorum=0.5), FedAvg()
        moved = self.update(a=torch.ones(2))
        kept = server.merged(settings, method, [moved], 3, self.expected, 0)
        assert kept is self.expected
        new = server.merged(settings, method, [moved], 2, self.expected, 0)
        assert new["a"].tolist() == [1, 1]

    def test_who_takes_part_follows_from_seed_and_round(self):
        settings = FederatedSettings(participation=0.3)
        rounds = [server.taking_part(settings, number, 0) for number in range(20)]
        assert rounds == [server.taking_part(settings, number, 0) for number in range(20)]
        assert {len(chosen) for chosen in rounds} == {3}
        assert {client for chosen in rounds for client in chosen} == set(range(10))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"method": "fedavgg"}, "unknown method 'fedavgg'. Did you mean 'fedavg'"),
        ({"engine": "locel"}, "no engine 'locel'. Did you mean 'local'"),
        ({"mean": "median"}, "no mean 'median'"),
        ({"participation": 0.0}, "participation must be"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_anything(settings, why):
    with pytest.raises(UsageError, match=why):
        FederatedSettings(**settings)


@pytest.mark.parametrize(
    ("recipe", "settings", "why"),
    [
        ("fedlmd", {"method": "fedckd"}, "method=fedckd is a recipe .*: edgesdk train fedckd"),
        ("fedbsd", {"method": "FedLMD"}, "run: edgesdk train fedlmd"),
        ("fedlmd", {"method": "fedavg", "teacher_free": True}, "a setting of fedlmd; fedavg has"),
        ("fedckd", {"method": "pfedsd", "own": 0.3}, "own is a setting of fedckd"),
        ("fedlmd", {"mu": 1.0}, "mu is a setting of fedprox; fedlmd has none"),
    ],
)
def test_what_a_method_would_not_look_at_is_refused(recipe, settings, why):
    with pytest.raises(UsageError, match=why):
        plugins.load(plugins.RECIPES, recipe).settings(**settings)


def test_a_setting_of_another_student_is_refused():
    with pytest.raises(UsageError, match="bridge-face has no width"):
        configured(BRIDGE_FACE, FederatedSettings(width=3), 16, 4)


def test_long_names_are_within_the_picture():
    name = "Krankenhaus Nordwest"
    drawn = distribution([[7, 0], [2, 3]], [name, "b" * 99], ["Deutsche Dogge", "x"])
    width, height = map(float, re.search(r'viewBox="0 0 (\S+) (\S+)"', drawn).groups())
    right = float(re.search(rf'<text x="(\S+)" \S+ \S+>client {name}: 7<', drawn)[1])
    assert 6 * len(f"client {name}: 7") < right < width  # a letter is about six wide
    assert f"client {'b' * 31}…: 5" in drawn
    top = float(re.search(r"translate\(\S+,(\S+)\) rotate\(-60\)", drawn)[1])
    assert 5 * len("Deutsche Dogge") < top < height


def test_names_of_clients_are_text_in_the_picture():
    assert "&lt;b&gt;" in distribution([[1, 0], [2, 3]], ["<b>", "x"], ["a", "b"])
