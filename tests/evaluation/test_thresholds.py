import dataclasses
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from tests.evaluation import samples
from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.evaluation import criteria, threshold_choice, thresholds

some = st.lists(
    st.floats(0, 2, allow_nan=False).map(lambda x: round(x, 2)),
    min_size=1,
    max_size=20,
).map(np.array)


def rates(real, fake, tau):
    return (real >= tau).mean(), (fake >= tau).mean()


def best_balanced_accuracy(real, fake):
    levels = [*real, *fake, 99]
    return max(rates(real, fake, t)[1] - rates(real, fake, t)[0] for t in levels)


def test_midpoint_is_the_papers():
    assert criteria.midpoint(np.array([0, 1, 2]), np.array([4, 6])) == 3


def test_sweep_takes_the_middle_of_a_gap():
    assert criteria.sweep(np.array([0, 1.0]), np.array([2.0, 9])) == 1.5


def public_sweep(real, fake):
    """The rule as test.py of github.com/maxbonzulak/deepfake has it, line by line."""
    max_real, min_fake = max(real), min(fake)
    if max_real <= min_fake:
        return (max_real + min_fake) / 2
    tmp = (max_real - min_fake) / 20
    highest_auc = 0
    best_thred = min_fake
    for i in range(20):
        thred = min_fake + tmp * i
        called_real = [int(score < thred) for score in (*real, *fake)]
        is_real = [1] * len(real) + [0] * len(fake)
        auc = round(metrics.roc_auc_score(is_real, called_real), 12)
        if auc > highest_auc:
            highest_auc = auc
            best_thred = thred
    return best_thred


def test_sweep_is_the_rule_of_the_public_code():
    rng = np.random.default_rng(0)
    overlapping = 0
    for _ in range(100):
        real = rng.normal(0.4, 0.2, rng.integers(1, 40))
        fake = rng.normal(0.8, 0.3, rng.integers(1, 40))
        overlapping += real.max() > fake.min()
        assert criteria.sweep(real, fake) == public_sweep(real, fake)
    assert overlapping > 60


@given(some, some)
def test_youden_is_best(real, fake):
    fpr, recall = rates(real, fake, criteria.youden(real, fake))
    assert recall - fpr == pytest.approx(best_balanced_accuracy(real, fake))


@given(some, some)
def test_equal_error_rate_is_as_equal_as_can_be(real, fake):
    fpr, recall = rates(real, fake, criteria.equal_error_rate(real, fake))
    differences = [
        abs(rates(real, fake, t)[0] - 1 + rates(real, fake, t)[1])
        for t in (*real, *fake, 99)
    ]
    assert abs(fpr - 1 + recall) == pytest.approx(min(differences))


@given(some, some, st.sampled_from([0, 0.1, 0.5, 1]))
def test_targets_are_kept_and_not_missed_by_more_than_needed(real, fake, target):
    tau = criteria.target_fpr(real, fake, target)
    assert rates(real, fake, tau)[0] <= target
    lower = [t for t in (*real, *fake) if t < tau]
    assert not lower or rates(real, fake, max(lower))[0] > target
    tau = criteria.target_recall(real, fake, target)
    assert rates(real, fake, tau)[1] >= target
    above = [t for t in (*real, *fake) if t >= tau]
    assert not above or rates(real, fake, np.nextafter(min(above), 99))[1] < target


@settings(max_examples=30)
@given(some, st.floats(0.5, 3))
def test_every_criterion_separates_what_does_not_overlap(real, gap):
    fake = real + np.ptp(real) + gap
    for name, criterion in criteria.CRITERIA.items():
        if name in criteria.TARGETED:
            tau = criterion(real, fake, 0.0 if name == "target_fpr" else 1.0)
        elif name == "midpoint":
            continue
        else:
            tau = criterion(real, fake)
        assert rates(real, fake, tau) == (0, 1), name


def test_what_is_chosen_is_written_and_read_again(tmp_path):
    videos, _ = samples.tables(separation=0.2)
    chosen = threshold_choice.select(
        videos, "validation", scores_digest="sha256:x", model_id="m"
    )
    path = tmp_path / "threshold.json"
    thresholds.write(path, chosen)
    assert thresholds.read(path) == chosen
    fields = json.loads(path.read_text())
    assert fields["criterion"] == criteria.DEFAULT_CRITERION
    assert fields["split"] == "validation"
    assert fields["counts"] == {"real": 10, "fake": 10, "groups": 5}
    assert fields["low"] <= fields["value"] <= fields["high"]


def test_the_promised_rates_are_those_of_the_split():
    videos, _ = samples.tables(separation=0.15, groups=12)
    chosen = threshold_choice.select(videos, "validation", "youden")
    mine = videos.select(videos.split == "validation")
    fpr, recall = rates(
        mine.mds[mine.label == 1], mine.mds[mine.label == 0], chosen.value
    )
    assert chosen.false_positive_rate.value == pytest.approx(fpr)
    assert chosen.recall.value == pytest.approx(recall)
    low, high = chosen.recall.interval
    assert low < recall <= high


@pytest.mark.parametrize(
    ("separation", "note"),
    [(3, "do not overlap"), (-1, "overlap wholly"), (0.3, None)],
)
def test_it_says_how_the_classes_overlap(separation, note):
    videos, _ = samples.tables(separation=separation, groups=20)
    notes = threshold_choice.select(videos, "validation").notes
    assert (note in " ".join(notes)) if note else not notes


def test_a_target_that_so_few_videos_cannot_show_is_named():
    videos, _ = samples.tables(separation=0.2)
    chosen = threshold_choice.select(videos, "validation", "target_fpr", target=0.01)
    assert "cannot be told from 10 real videos" in " ".join(chosen.notes)


def test_the_test_split_is_refused(tmp_path):
    videos, _ = samples.tables()
    with pytest.raises(InputError, match="test split"):
        threshold_choice.select(videos, "test")
    path = tmp_path / "threshold.json"
    path.write_text('{"value": 1, "split": "test"}')
    with pytest.raises(InputError, match=r"threshold.json.*test split"):
        thresholds.read(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criterion": "best"}, "expected one of midpoint"),
        ({"criterion": "target_fpr"}, "--target"),
        ({"criterion": "youden", "target": 0.1}, "has none"),
    ],
)
def test_bad_choices_are_refused(options, message):
    videos, _ = samples.tables()
    with pytest.raises(InputError, match=message):
        threshold_choice.select(videos, "validation", **options)


def test_one_class_is_refused():
    videos, _ = samples.tables()
    with pytest.raises(InputError, match="10 real and 0 fake"):
        threshold_choice.select(videos.select(videos.label == 1), "validation")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"value": "high"}',
        '{"value": 1' + 5000 * "0" + "}",
        '{"value": 1, "low": [], "high": 1}',
    ]
    + ['{"value": 1, "format_version": 99}', '{"value": 1, "calibration": {"a": 1}}'],
)
def test_what_is_no_threshold_is_refused(tmp_path, text):
    path = tmp_path / "threshold.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"threshold\.json"):
        thresholds.read(path)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("value", '{"value": #}'),
        ("target", '{"value": 1, "target": #}'),
        ("low", '{"value": 1, "low": #, "high": 2}'),
        ("recall.value", '{"value": 1, "recall": {"value": #}}'),
        ("quantiles.real[1]", '{"value": 1, "quantiles": {"real": [0, #]}}'),
        (
            "fusion.inputs[0].weight",
            '{"value": 1, "score": "fused", "fusion": {"intercept": 0, "inputs":'
            ' [{"score": "mds", "mean": 0, "scale": 1, "weight": #}]}}',
        ),
        (
            "calibration.slope",
            '{"value": 1, "calibration": {"kind": "logistic", "slope": #}}',
        ),
        (
            "heads.visual.value",
            '{"value": 1, "heads": {"visual": {"score": "visual", "value": #}}}',
        ),
    ],
)
def test_a_number_that_is_none_is_named(tmp_path, name, text, number):
    path = tmp_path / "threshold.json"
    path.write_text(text.replace("#", "0.5"))
    thresholds.read(path)
    path.write_text(text.replace("#", number))
    said = f"{name} of the threshold is {float(number)}, expected a finite number"
    with pytest.raises(InputError, match=re.escape(said)) as refused:
        thresholds.read(path)
    assert str(refused.value).startswith(str(path))
    assert "tfmds.select_threshold" in str(refused.value)


def test_a_threshold_by_hand_needs_only_a_value(tmp_path):
    path = tmp_path / "threshold.json"
    path.write_text('{"value": 0.7}')
    assert thresholds.read(path).value == 0.7


def test_drift_is_seen_and_not_imagined():
    videos, _ = samples.tables(groups=15, seed=1)
    chosen = threshold_choice.select(videos, "validation")
    same, _ = samples.tables(groups=15, splits=("test",), seed=2)
    assert chosen.drift(same) == []
    elsewhere, _ = samples.tables(groups=15, splits=("test",), seed=2)
    elsewhere.mds[:] += np.where(elsewhere.label == 1, 0.3, 0)
    (note,) = chosen.drift(elsewhere)
    assert "real videos is elsewhere" in note


def test_a_threshold_knows_what_it_was_chosen_on(tmp_path):
    videos, _ = samples.tables(groups=8)
    chosen = threshold_choice.select(videos, "validation", num_draws=20)
    used = videos.select((videos.split == "validation") & videos.scored)
    fakes = used.manipulation[used.label == spec.FAKE].tolist()
    assert chosen.manipulations == {kind: fakes.count(kind) for kind in set(fakes)}
    assert not chosen.is_of_mismatches
    lengths = np.arange(len(videos)) + 3.5
    longer = dataclasses.replace(videos, seconds=lengths)
    chosen = threshold_choice.select(longer, "validation", num_draws=20)
    inside = (videos.split == "validation") & videos.scored
    least = np.minimum(lengths, videos.chunks)[inside].min()
    assert 0 < least < lengths[inside].min()
    assert chosen.shortest_seconds == least
    short = dataclasses.replace(videos, seconds=np.full(len(videos), 1.5))
    chosen = threshold_choice.select(short, "validation", num_draws=20)
    assert chosen.shortest_seconds == 1.5
    thresholds.write(tmp_path / thresholds.FILE, chosen)
    assert thresholds.read(tmp_path / thresholds.FILE) == chosen
    unknown = dataclasses.replace(videos, seconds=np.full(len(videos), np.nan))
    chosen = threshold_choice.select(unknown, "validation", num_draws=20)
    assert chosen.shortest_seconds is None
