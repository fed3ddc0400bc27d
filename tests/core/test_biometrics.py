import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgesdk.core import biometrics
from edgesdk.core.errors import UsageError

# Few distinct values make ties frequent.
SCORES = hnp.arrays(
    np.float64, st.integers(1, 40), elements=st.integers(-10, 10).map(lambda n: n / 10)
)


def gaussian(seed=0, genuine=1500, impostor=1500, distance=2.0):
    rng = np.random.default_rng(seed)
    return rng.normal(distance, 1.0, genuine), rng.normal(0.0, 1.0, impostor)


@given(SCORES, SCORES)
def test_auc_is_the_chance_of_the_right_order(genuine, impostor):
    wins = (genuine[:, None] > impostor).mean() + (genuine[:, None] == impostor).mean() / 2
    assert biometrics.auc(genuine, impostor) == pytest.approx(wins)


@given(SCORES, SCORES)
def test_roc_counts_what_each_threshold_accepts(genuine, impostor):
    far, tar, thresholds = biometrics.roc(genuine, impostor)
    assert (far[0], tar[0], far[-1], tar[-1]) == (0, 0, 1, 1)
    for f, t, cut in zip(far, tar, thresholds, strict=True):
        assert f == pytest.approx((impostor >= cut).mean())
        assert t == pytest.approx((genuine >= cut).mean())


@given(SCORES, SCORES)
def test_eer_lies_where_both_errors_cross(genuine, impostor):
    far, tar, _ = biometrics.roc(genuine, impostor)
    rate = biometrics.eer(genuine, impostor)
    before = np.flatnonzero(far + tar < 1)[-1]
    assert far[before] - 1e-12 <= rate <= far[before + 1] + 1e-12
    assert 1 - tar[before + 1] - 1e-12 <= rate <= 1 - tar[before] + 1e-12


def test_eer_of_two_bells_is_the_textbook_value():
    # Two unit Gaussians two apart cross at one: 1 - Phi(1) = 0.1587.
    genuine, impostor = gaussian(genuine=200_000, impostor=200_000)
    assert biometrics.eer(genuine, impostor) == pytest.approx(0.15866, abs=2e-3)
    # Their AUC is Phi(2 / sqrt 2) = 0.9214.
    assert biometrics.auc(genuine, impostor) == pytest.approx(0.92135, abs=2e-3)


@given(SCORES, st.data())
def test_best_threshold_beats_every_other_one(scores, data):
    same = np.array(data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores))))

    def accuracy(cut):
        return ((scores >= cut) == same).mean()

    chosen = accuracy(biometrics.best_threshold(scores, same))
    assert all(chosen >= accuracy(cut) for cut in [*scores, np.inf])


def test_the_threshold_is_chosen_on_the_other_folds():
    # In fold 0 the order is upside down; only a threshold seen there would score above half.
    scores = np.array([0.1, 0.9, 0.8, 0.2, 0.7, 0.3])
    same = np.array([True, False, True, False, True, False])
    folds = np.array([0, 0, 1, 1, 2, 2])
    assert biometrics.fold_accuracies(scores, same, folds)[0] == 0.0
    assert biometrics.decided_rightly(scores, same, folds).tolist() == [False] * 2 + [True] * 4
    assert biometrics.fold_accuracies(scores[2:], same[2:], folds[2:]) == [1.0, 1.0]


def test_a_drop_is_drawn_over_the_same_pairs():
    before = np.arange(1000) % 2 == 0
    assert biometrics.drop_interval(before, before) == [0.0, 0.0]
    worse = before & (np.arange(1000) >= 40)
    low, high = biometrics.drop_interval(before, worse)
    assert 0.01 < low < 0.02 < high < 0.03
    assert biometrics.drop_interval(worse, before)[1] < 0


@given(SCORES, st.floats(0.01, 0.99))
def test_threshold_at_far_keeps_its_promise(impostor, far):
    cut = biometrics.threshold_at_far(impostor, far)
    assert (impostor >= cut).mean() <= far + 1e-9
    lower = impostor[impostor < cut]
    if len(lower):
        assert (impostor >= lower.max()).mean() > far - 1e-9


@pytest.mark.parametrize("pairs", [(999, 1e-2), (9_999, 1e-3), (0, 1e-2)])
def test_too_few_impostors_are_refused_with_the_number_needed(pairs):
    impostors, far = pairs
    answer = biometrics.tar_at_far(np.ones(5), np.zeros(impostors), far)
    assert answer["value"] is None
    assert f"{int(10 / far):,}" in answer["reason"]
    assert f"{impostors:,}" in answer["reason"]


def test_fit_thresholds_leaves_out_what_the_pairs_cannot_tell():
    genuine, impostor = gaussian()
    fitted = biometrics.fit_thresholds(genuine, impostor)
    assert list(fitted) == ["far_1e-2"]
    assert list(biometrics.fit_thresholds(genuine, np.tile(impostor, 7))) == [
        "far_1e-2",
        "far_1e-3",
    ]
    point = fitted["far_1e-2"]
    assert point["low"] <= point["value"] <= point["high"]
    assert point["low"] < 2.326 < point["high"]  # the 99th percentile of the bell


def test_intervals_equal_those_of_a_drawn_bootstrap():
    genuine, impostor = gaussian(seed=3)
    answer = biometrics.tar_at_far(genuine, impostor, 1e-2)
    fitted = biometrics.fit_thresholds(genuine, impostor)["far_1e-2"]
    rng = np.random.default_rng(1)
    cuts, tars = [], []
    for _ in range(1500):
        cut = biometrics.threshold_at_far(rng.choice(impostor, len(impostor)), 1e-2)
        cuts.append(cut)
        tars.append((rng.choice(genuine, len(genuine)) >= cut).mean())
    low, high = np.quantile(tars, [0.025, 0.975])
    assert (answer["low"], answer["high"]) == pytest.approx((low, high), abs=0.02)
    low, high = np.quantile(cuts, [0.025, 0.975])
    assert (fitted["low"], fitted["high"]) == pytest.approx((low, high), abs=0.05)
    assert answer["low"] < answer["value"] < answer["high"]


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    truth, hits = 2.3263, 0
    for seed in range(100):
        point = biometrics.fit_thresholds(*gaussian(seed, impostor=2000))["far_1e-2"]
        hits += point["low"] <= truth <= point["high"]
    assert 86 <= hits <= 100


@pytest.mark.parametrize(
    ("far", "key"), [(1e-2, "far_1e-2"), (1e-3, "far_1e-3"), (0.05, "far_5e-2")]
)
def test_far_keys(far, key):
    assert biometrics.far_key(far) == key


@pytest.mark.parametrize("far", [0.0, 1.0, -1e-3, float("nan")])
def test_a_far_outside_its_range_is_refused(far):
    with pytest.raises(UsageError, match="between 0 and 1"):
        biometrics.refusal(far, 100)


@settings(max_examples=40)
@given(st.integers(0, 30), st.integers(1, 12), st.integers(0, 2**31))
def test_cross_scores_meet_every_pair_once_whatever_the_block(count, block, seed):
    rng = np.random.default_rng(seed)
    faces, people = rng.normal(size=(count, 5)), rng.integers(-1, 4, count)
    genuine, impostor = biometrics.cross_scores(faces, people, block=block)
    wanted = {True: [], False: []}
    for i in range(count):
        for j in range(i):
            if people[i] >= 0 and people[j] >= 0:
                angle = faces[i] @ faces[j] / np.linalg.norm(faces[i]) / np.linalg.norm(faces[j])
                wanted[bool(people[i] == people[j])].append(angle)
    assert np.sort(genuine) == pytest.approx(np.sort(wanted[True]), abs=1e-5)
    assert np.sort(impostor) == pytest.approx(np.sort(wanted[False]), abs=1e-5)


def test_cosine_takes_any_length_and_a_zero_row():
    a = np.array([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0]])
    b = np.array([[6.0, 8.0], [1.0, 0.0], [-2.0, 0.0]])
    assert biometrics.cosine(a, b) == pytest.approx([1.0, 0.0, -1.0])
    assert np.linalg.norm(biometrics.unit(a), axis=1) == pytest.approx([1.0, 0.0, 1.0])


def test_perfect_and_useless_scores():
    same, folds = np.tile([True, False], 50), np.repeat(np.arange(5), 20)
    perfect = biometrics.verification(same.astype(float), same, folds)
    assert (perfect.accuracy, perfect.accuracy_std, perfect.auc, perfect.eer) == (1, 0, 1, 0)
    useless = biometrics.verification(np.zeros(100), same, folds)
    assert (useless.accuracy, useless.auc, useless.eer) == (0.5, 0.5, 0.5)


def test_the_summary_is_json_and_says_why_a_point_is_missing():
    genuine, impostor = gaussian()
    scores = np.concatenate([genuine, impostor])
    same = np.repeat([True, False], 1500)
    folds = np.tile(np.arange(10), 300)
    every = gaussian(seed=9, impostor=20_000)[1]
    metrics = biometrics.verification(scores, same, folds, all_impostors=every)
    data = json.loads(json.dumps(metrics.to_json(), allow_nan=False))
    assert data["accuracy"] == pytest.approx(0.841, abs=0.02)  # Phi(1)
    assert len(data["folds"]) == 10
    assert data["tar"]["far_1e-2"]["value"] == pytest.approx(0.372, abs=0.06)  # 1 - Phi(0.326)
    assert data["tar"]["far_1e-3"]["value"] is None
    assert data["tar_all"]["far_1e-3"]["value"] is not None
    assert data["impostor_all"] == 20_000
    assert len(data["roc"]) <= biometrics.ROC_POINTS
    assert data["roc"] == sorted(data["roc"])


@pytest.mark.parametrize(
    ("scores", "same", "message"),
    [
        ([0.1, np.nan], [True, False], "not finite"),
        ([0.1, 0.2], [True, True], "no impostor pairs"),
        ([0.1, 0.2], [False, False], "no genuine pairs"),
    ],
)
def test_scores_that_cannot_be_judged_are_one_sentence(scores, same, message):
    with pytest.raises(UsageError, match=message):
        biometrics.verification(np.array(scores), np.array(same), np.zeros(2, int))


def test_opening_2_a_shifted_artefact_needs_its_own_threshold():
    # Quantisation moved every score up by a tenth of the bell's width.
    source, artefact = gaussian(seed=5, impostor=50_000), gaussian(seed=5, impostor=50_000)
    artefact = tuple(scores + 0.1 for scores in artefact)
    fresh = gaussian(seed=6, impostor=500_000)[1] + 0.1
    own = biometrics.fit_thresholds(*artefact)["far_1e-2"]
    old = biometrics.fit_thresholds(*source)["far_1e-2"]["value"]
    reachable = [(fresh >= own[edge]).mean() for edge in ("high", "low")]
    assert reachable[0] <= 1e-2 <= reachable[1]
    assert not reachable[0] <= (fresh >= old).mean() <= reachable[1]
