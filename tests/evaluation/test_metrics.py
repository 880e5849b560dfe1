import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from tfmds.evaluation import bootstrap, metrics, ranking
from tfmds.evaluation.bootstrap import Bootstrap
from tfmds.evaluation.ranking import Sample


def sample(score, fake, group=None):
    score = np.asarray(score, float)
    group = np.arange(len(score)) if group is None else np.asarray(group)
    return Sample(score, np.asarray(fake, bool), group)


@st.composite
def two_classes(draw):
    # Few levels, so that ties are the rule.
    level = st.integers(-4, 4).map(lambda x: x / 4)
    reals = draw(st.lists(level, min_size=1, max_size=15))
    fakes = draw(st.lists(level, min_size=1, max_size=15))
    return sample(reals + fakes, [False] * len(reals) + [True] * len(fakes))


def sigmoid(score):
    return 1 / (1 + np.exp(-4 * np.asarray(score)))


@settings(max_examples=60, deadline=None)
@given(two_classes(), st.integers(-5, 5).map(lambda x: x / 4))
def test_metrics_agree_with_scikit_learn(s, threshold):
    found = dict(metrics.evaluate(s, threshold=threshold, probability=sigmoid))
    called, p = s.score >= threshold, sigmoid(s.score)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "auc": sk.roc_auc_score(s.fake, s.score),
            "partial_auc": sk.roc_auc_score(s.fake, s.score, max_fpr=0.1),
            "average_precision": sk.average_precision_score(s.fake, s.score),
            "accuracy": sk.accuracy_score(s.fake, called),
            "balanced_accuracy": sk.balanced_accuracy_score(s.fake, called),
            "precision": sk.precision_score(s.fake, called),
            "recall": sk.recall_score(s.fake, called),
            "f1": sk.f1_score(s.fake, called),
            "mcc": sk.matthews_corrcoef(s.fake, called),
            "brier_score": sk.brier_score_loss(s.fake, p),
            "log_loss": sk.log_loss(s.fake, p),
        }
    for name, value in expected.items():
        if found[name].value is None:
            assert name in ("precision", "mcc")
            assert len(set(called)) == 1
        else:
            assert found[name].value == pytest.approx(value, abs=1e-9), name
    (tn, fp), (fn, tp) = sk.confusion_matrix(s.fake, called, labels=[False, True])
    counts = ranking.confusion(ranking.rank(s), threshold)
    assert counts.reals_called_real == tn
    assert counts.reals_called_fake == fp
    assert counts.fakes_called_real == fn
    assert counts.fakes_called_fake == tp


@settings(max_examples=60, deadline=None)
@given(two_classes())
def test_equal_error_rate_lies_on_the_roc_where_the_errors_are_equal(s):
    rate = float(metrics.equal_error_rate(ranking.rank(s)))
    fpr, tpr, _ = sk.roc_curve(s.fake, s.score, drop_intermediate=False)
    # Interpolated by arc length, so that vertical steps are passed through.
    steps = np.concatenate([[0], np.cumsum(np.hypot(np.diff(fpr), np.diff(tpr)))])
    fine = np.linspace(0, steps[-1], 20001)
    errors = np.interp(fine, steps, fpr), 1 - np.interp(fine, steps, tpr)
    at = np.argmin(np.abs(errors[0] - errors[1]))
    assert rate == pytest.approx(errors[0][at], abs=1e-3)


@pytest.mark.parametrize(
    ("reals", "fakes", "expected"),
    [([0, 1], [2, 3], 0.0), ([2, 3], [0, 1], 1.0), ([0, 1], [0, 1], 0.5)],
)
def test_equal_error_rate_of_known_cases(reals, fakes, expected):
    s = sample(reals + fakes, [False, False, True, True])
    assert metrics.equal_error_rate(ranking.rank(s)) == pytest.approx(expected)


def test_detection_cost_is_1_for_calling_everything_the_cheaper_thing():
    s = sample([0.0, 1.0], [False, True])
    calls_all_fake = ranking.confusion(ranking.rank(s), -1)
    calls_all_real = ranking.confusion(ranking.rank(s), 2)
    calls_right = ranking.confusion(ranking.rank(s), 0.5)
    assert metrics.detection_cost(calls_all_real) == pytest.approx(1)
    assert metrics.detection_cost(calls_all_fake) == pytest.approx(0.95 / 0.5)
    assert metrics.detection_cost(calls_right) == 0


def test_calibration_error_by_hand():
    # Said 0.25 four times with one fake, said 0.75 twice with none.
    s = sample([0.25] * 4 + [0.75] * 2, [True] + [False] * 5)
    error = metrics.expected_calibration_error(ranking.rank(s), np.array([0.25, 0.75]))
    assert error == pytest.approx((4 * 0 + 2 * 0.75) / 6)


@pytest.mark.parametrize("fake", [True, False])
def test_one_class_has_no_auc_but_a_reason(fake):
    s = sample([0.1, 0.7, 0.9], [fake] * 3)
    found = dict(metrics.evaluate(s, threshold=0.5, bootstrap=Bootstrap.draw(3)))
    for name in ("auc", "average_precision", "equal_error_rate", "balanced_accuracy"):
        assert found[name].value is None
        assert found[name].reason == f"there are no {'reals' if fake else 'fakes'}"
    assert found["accuracy"].value == pytest.approx(2 / 3 if fake else 1 / 3)


def test_things_without_a_score_count_as_the_worst():
    s = sample([0.1, np.inf, 0.9, -np.inf], [False, False, True, True])
    found = dict(metrics.evaluate(s, threshold=0.5, probability=sigmoid))
    assert found["auc"].value == pytest.approx(1 / 4)
    assert found["accuracy"].value == 0.5
    assert found["brier_score"].value > 0.5
    assert found["log_loss"].value is None
    assert "without a score" in found["log_loss"].reason


def test_intervals_agree_with_drawing_and_scoring_one_by_one():
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(20), 6)
    fake = np.tile([True, True, True, False, False, False], 20)
    s = sample(rng.normal(size=120) + fake + rng.normal(size=20)[group], fake, group)
    bootstrap = Bootstrap.draw(20, 200, seed=1)
    found = dict(metrics.evaluate(s, threshold=0.5, bootstrap=bootstrap))
    rows = [np.repeat(np.arange(120), w[group]) for w in bootstrap.weights]
    for name, metric in {
        "auc": lambda r: sk.roc_auc_score(fake[r], s.score[r]),
        "average_precision": lambda r: sk.average_precision_score(fake[r], s.score[r]),
        "mcc": lambda r: sk.matthews_corrcoef(fake[r], s.score[r] >= 0.5),
    }.items():
        expected = np.quantile([metric(r) for r in rows], (0.025, 0.975))
        assert found[name].interval == pytest.approx(tuple(expected)), name


def test_intervals_on_binned_levels_are_those_on_all(monkeypatch):
    rng = np.random.default_rng(0)
    fake = rng.random(3000) < 0.5
    s = sample(rng.normal(size=3000) + fake, fake, rng.integers(0, 50, 3000))
    intervals = []
    for levels in (500, 10_000):
        monkeypatch.setattr(bootstrap, "_MAX_LEVELS", levels)
        found = metrics.evaluate(
            s, threshold=0.4, probability=sigmoid, bootstrap=Bootstrap.draw(50, 100)
        )
        intervals.append({n: e.interval for n, e in found if e.interval})
    for name, interval in intervals[0].items():
        assert interval == pytest.approx(intervals[1][name], abs=2e-3), name


def test_drawing_groups_is_less_sure_than_drawing_videos():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(12), 20)
    fake = np.tile(np.arange(20) < 10, 12)
    score = fake * (1 + rng.normal(size=12)[group]) + 0.1 * rng.normal(size=240)
    widths = []
    for groups in (group, np.arange(240)):
        found = dict(
            metrics.evaluate(
                sample(score, fake, groups),
                bootstrap=Bootstrap.draw(groups.max() + 1, 300),
            )
        )
        widths.append(np.ptp(found["auc"].interval))
    assert widths[0] > 1.3 * widths[1]


def test_a_perfect_result_does_not_claim_certainty():
    s = sample([0, 0.1, 1, 1.1], [False, False, True, True], [0, 1, 0, 1])
    auc = dict(metrics.evaluate(s, bootstrap=Bootstrap.draw(2)))["auc"]
    assert auc.value == 1
    assert auc.interval is None
    assert auc.reason


def test_the_same_seed_draws_the_same():
    first, again, other = (Bootstrap.draw(9, 5, seed).weights for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert (first.sum(1) == 9).all()


def test_a_video_without_a_group_is_its_own():
    numbers, count = bootstrap.group_numbers(
        np.array(["p", "", "p", ""], object), np.array(["a", "p", "c", "d"], object)
    )
    assert count == 3
    assert numbers[0] == numbers[2]
    assert len(set(numbers)) == 3
