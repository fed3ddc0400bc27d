"""Private answers: the mechanism's exact ratio, the budget that ends, what the ledger says."""

import itertools
import json
import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk_training.privacy import audit, response
from edgesdk_training.privacy.budget import Budget, Charge
from edgesdk_training.privacy.chance import SYSTEM, chance

SMALL = {
    "size": 8, "width": 4, "hidden": 16, "teacher_width": 4, "generator_width": 8, "steps": 20,
    "queries": 80, "teacher_epochs": 1, "epochs": 2, "batch": 32,
}  # fmt: skip
CLASSES = 5


def below_e_to(epsilon, ratio):
    """Tell exactly whether a ratio is at most e^epsilon, in 120 digits."""
    with localcontext() as context:
        context.prec = 120
        return Decimal(ratio.numerator) <= Decimal(epsilon).exp() * Decimal(ratio.denominator)


@pytest.mark.parametrize("epsilon", [1e-9, 0.1, 0.5, 1.0, math.log(3), 2.0, 3.0, 7.3, 20.0, 50.0])
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_10c_the_ratio_of_any_answer_under_any_two_labels_is_at_most_e_to_the_epsilon(
    epsilon, classes
):
    """By enumeration of all sets of answers, labels and answers, in whole numbers."""
    for size in range(1, classes + 1):
        for inside in itertools.combinations(range(classes), size):
            may = np.isin(np.arange(classes), inside)
            told = [response.chances(may, truth, epsilon) for truth in range(classes)]
            assert all(sum(t.values()) == 1 for t in told)
            for answer in inside:
                values = [t[answer] for t in told]
                assert below_e_to(epsilon, max(values) / min(values))


@pytest.mark.parametrize("epsilon", [0.5, 3.0])
def test_what_is_drawn_has_the_chances_that_were_enumerated(epsilon):
    """Every draw of the mechanism's own range in turn gives each answer as often as told."""
    may = np.array([True, False, True, True])
    for truth in range(4):
        wanted = response.chances(may, truth, epsilon)
        weights = [
            response.true_weight(epsilon) if c == truth else response.UNIT for c in (0, 2, 3)
        ]
        seen = {}
        steps = 997
        for step in range(steps):
            at = sum(weights) * step // steps
            told = response.respond(
                np.array([truth]), may[None], epsilon, _always(at, sum(weights))
            )
            seen[int(told[0])] = seen.get(int(told[0]), 0) + Fraction(1, steps)
        assert set(seen) == set(wanted)
        assert all(abs(seen[c] - wanted[c]) <= Fraction(2, steps) for c in wanted)


def _always(value, limit):
    from edgesdk_training.privacy.chance import Chance

    def below(given):
        assert given == limit
        return value

    return Chance(below, "test")


def test_answers_outside_of_the_allowed_are_never_given_and_k_star_is_the_formula():
    random = np.random.default_rng(0)
    prior = random.dirichlet(np.ones(6) * 0.4, 50)
    may = response.allowed(prior, 1.0)
    for row, told in zip(prior, may, strict=True):
        ordered = np.sort(row)[::-1]
        gains = [math.e / (math.e + k - 1) * ordered[:k].sum() for k in range(1, 7)]
        assert told.sum() == 1 + int(np.argmax(gains))
        assert row[told].min() >= row[~told].max(initial=0)
    answers = response.respond(random.integers(0, 6, 50), may, 1.0, chance(0))
    assert may[np.arange(50), answers].all()


def test_plain_response_errs_as_often_as_theory_says():
    truth = np.arange(4000) % 10
    told = response.respond(truth, response.everything(4000, 10), 2.0, chance(1))
    wanted = 1 - response.keep(2.0, 10)
    assert abs((told != truth).mean() - wanted) < 0.03


def test_the_likelihood_of_an_answer_is_its_chance():
    may = np.array([[True, False, True], [True, True, True]])
    found = response.likelihood(np.array([2, 0]), may, 1.5)
    for row, answer in ((0, 2), (1, 0)):
        for label in range(3):
            wanted = response.chances(may[row], label, 1.5)[answer]
            assert found[row, label] == pytest.approx(float(wanted), rel=1e-6)


def test_real_runs_draw_from_the_system(monkeypatch):
    asked = []
    monkeypatch.setattr("secrets.randbelow", lambda limit: asked.append(limit) or 0)
    source = chance(None)
    assert source.source == SYSTEM
    response.respond(np.array([1]), np.ones((1, 3), bool), 1.0, source)
    assert asked or source.below.__module__ in ("secrets", "random")


def charge(token, epsilon=3.0):
    return Charge("run", token, "randomised-response", epsilon, 100)


def test_a_spent_budget_refuses_also_after_a_restart(tmp_path):
    Budget(tmp_path, "teacher", 5.0).charge(charge("a"))
    Budget(tmp_path, "teacher", 5.0).charge(charge("a"))
    again = Budget(tmp_path, "teacher", 5.0)
    assert again.spent() == 3.0
    for ask in (again.check, again.charge):
        with pytest.raises(UsageError, match="budget is spent"):
            ask(charge("b"))
    again.charge(charge("c", 2.0))
    assert Budget(tmp_path, "teacher", 5.0).spent() == 5.0
    Budget(tmp_path, "another", 5.0).charge(charge("b"))


def test_a_budget_never_grows_and_a_damaged_one_refuses_everything(tmp_path):
    Budget(tmp_path, "teacher", 5.0).charge(charge("a"))
    with pytest.raises(UsageError, match="fixed it at 5"):
        Budget(tmp_path, "teacher", 50.0).charge(charge("b"))
    (tmp_path / "privacy-budget.json").write_text('{"owners": {"teacher": {"spent": 1}}}')
    with pytest.raises(EdgeSdkError, match="nobody knows what is spent"):
        Budget(tmp_path, "teacher", 5.0).charge(charge("b", 0.1))


def test_answers_without_protection_are_written_down(tmp_path):
    Budget(tmp_path, "teacher", 5.0).charge(charge("a", None))
    found = Budget(tmp_path, "teacher", 5.0)
    assert (found.spent(), found.unprotected()) == (0.0, 100)


def test_an_audit_bounds_epsilon_from_below_and_never_above_what_noise_allows():
    guesses = np.zeros(4000, bool)
    guesses[:3000] = True
    low = audit.lower_bound(guesses, 2)
    assert 0.9 < low < math.log(3)
    assert audit.lower_bound(np.arange(4000) % 2 == 0, 2) == 0.0


def test_lira_tells_members_by_their_own_shadows():
    random = np.random.default_rng(0)
    member = random.random(400) < 0.5
    shadows = random.random((24, 400)) < 0.5
    scores = np.where(shadows, 3.0, 0.0) + random.normal(0, 0.5, shadows.shape)
    target = np.where(member, 3.0, 0.0) + random.normal(0, 0.5, 400)
    found = audit.rates(audit.lira(target, scores, shadows), member)
    assert found["tpr"] > 0.9
    assert found["low"] < found["tpr"] <= found["high"]
    blind = audit.rates(audit.lira(random.normal(size=400), scores, shadows), member)
    assert blind["low"] < 0.05


torch = pytest.importorskip("torch", reason="needs the train extra")


@pytest.fixture
def private(tmp_path):
    """Return an .npz like mnist.npz: smooth 8 x 8 greys of five kinds, with noise."""
    random = np.random.default_rng(0)
    kinds = random.integers(60, 200, (CLASSES, 8, 8))
    labels = np.arange(160) % CLASSES
    pictures = (kinds[labels] + random.normal(0, 20, (160, 8, 8))).clip(0, 255).astype(np.uint8)
    np.savez(tmp_path / "private.npz", x_train=pictures, y_train=labels)
    return tmp_path / "private.npz"


@pytest.fixture
def run(private, tmp_path):
    from edgesdk_training._train import train

    def start(out="runs", fresh=False, seed=0, progress=None, **settings):
        given = {"private": [private]}
        return train("dpdf", settings=SMALL | settings, data=given, out=tmp_path / out,
                     fresh=fresh, seed=seed, progress=progress)  # fmt: skip

    return start


def test_the_ledger_stands_in_the_run_the_checkpoint_and_the_released_set(run):
    result = run()
    stored = json.loads((result.folder / "result.json").read_text())["ledger"]
    assert stored["mechanism"] == "selective-randomised-response"
    assert (stored["epsilon"], stored["queries"], stored["spent"]) == (3.0, 80, 3.0)
    assert stored["composition"].startswith("parallel")
    assert "NOT the private records" in stored["protects"]
    assert stored["randomness"].startswith("system")
    checkpoint = read_checkpoint(result.checkpoints["student"])
    assert checkpoint.ledger == stored
    assert checkpoint.labels == tuple("01234")
    with np.load(result.artefacts["released"]) as released:
        assert released["x_train"].shape == (80, 8, 8)
        assert released["y_train"].max() < CLASSES


def test_a_run_that_would_overspend_is_refused_and_one_that_is_finished_costs_nothing(run):
    run(budget=4.0)
    assert run(budget=4.0).ledger["spent"] == 3.0
    with pytest.raises(UsageError, match="privacy budget is spent"):
        run(budget=4.0, method="response")
    with pytest.raises(UsageError, match="privacy budget is spent"):
        run(budget=4.0, fresh=True)


def test_a_run_that_was_killed_goes_on_with_the_answers_it_was_given(run, tmp_path):
    class Killed(BaseException):
        pass

    def stop(done, total, label):
        if label == "student":
            raise Killed

    with pytest.raises(Killed):
        run(progress=stop, budget=4.0)
    answers = sorted((tmp_path / "runs").glob("dpdf-*/state/answers-*"))
    given = [path.read_bytes() for path in answers]
    result = run(budget=4.0)
    assert result.ledger["spent"] == 3.0
    assert len(answers) == 2
    assert [path.read_bytes() for path in answers] == given


def test_labels_follow_the_system_and_by_seed_only_where_it_is_said(run):
    def labels(result):
        return np.load(result.artefacts["released"])["y_train"]

    asked = {"method": "response", "epsilon": 0.1}
    assert (labels(run("a", **asked)) != labels(run("b", **asked))).any()
    seeded = [run(out, seeded=True, **asked) for out in ("a", "b")]
    assert (labels(seeded[0]) == labels(seeded[1])).all()
    assert "protects nobody" in seeded[0].ledger["randomness"]


def test_without_privacy_the_ledger_says_that_nothing_is_protected(run):
    result = run(method="none", pictures="noise")
    assert result.metrics["label_error"] == 0
    assert result.ledger["epsilon"] is None
    assert result.ledger["protects"].startswith("nothing")
    assert run(method="response").ledger["asked_without_protection"] == 80


def test_the_generator_nears_the_teachers_statistics(run):
    result = run(steps=60)
    lines = [json.loads(line) for line in (result.folder / "log.jsonl").read_text().splitlines()]
    apart = [line["norms"] for line in lines if line["phase"] == "generate"]
    assert apart[-1] < 0.95 * apart[0]


def test_wrong_settings_are_refused_in_a_sentence(run):
    with pytest.raises(UsageError, match="no method"):
        run(method="selectiv")
    with pytest.raises(UsageError, match="epsilon"):
        run(epsilon=0)
    with pytest.raises(UsageError, match="epsilon 11 is above the budget of 10"):
        run(epsilon=11, budget=10.0)


def test_pictures_that_are_not_asked_for_are_not_decoded(run):
    totals = []

    def seen(done, total, label):
        totals.extend([total] if label == "read pictures" else [])

    run(most=40, progress=seen)
    assert 40 < max(totals) < 80  # of 160: those to learn from, and a seventh that judges


def test_a_rival_whose_packages_are_missing_is_refused_before_anything_is_read(monkeypatch, run):
    from edgesdk.core.errors import MissingDependencyError
    from edgesdk_training.privacy import dpsgd

    monkeypatch.setattr(dpsgd.Needs, "requires", ("no_such_package",))
    monkeypatch.setattr("edgesdk_training.classes.read_classes", None)
    with pytest.raises(MissingDependencyError, match="method dp-sgd needs no_such_package"):
        run(method="dp-sgd")


def test_rivals_keep_a_ledger_of_their_own(run):
    pytest.importorskip("dp_accounting", reason="needs the privacy extra")
    pytest.importorskip("opacus", reason="needs the privacy extra")
    found = {m: run(method=m, teachers=3).ledger for m in ("pate", "dp-sgd")}
    for ledger in found.values():
        assert 0 < ledger["epsilon"] <= 3.0
        assert ledger["delta"] == 1e-5
        assert "private picture" in ledger["protects"]


def test_the_discrete_gaussian_has_its_variance():
    from edgesdk_training.privacy.pate import gaussian

    source = chance(3)
    drawn = [gaussian(Fraction(9), source) for _ in range(3000)]
    assert abs(np.var(drawn) - 9) < 1
    assert abs(np.mean(drawn)) < 0.3
