import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks import judging
from tfmds import spec
from tfmds.evaluation.scores import VideoScores, texts

KINDS = ["", "", "", "face_swap", "face_swap", "lip_sync"] * 5


@pytest.fixture
def scored():
    """Six videos of each of five people."""
    count, rng = len(KINDS), np.random.default_rng(0)
    return VideoScores(
        video_id=texts([f"v{i}" for i in range(count)]),
        label=np.array([spec.FAKE if kind else spec.REAL for kind in KINDS], np.int8),
        split=texts(["test"] * count),
        group=texts([f"p{i // 6}" for i in range(count)]),
        manipulation=texts(KINDS),
        status=texts([spec.OK] * count),
        chunks=np.ones(count, np.int64),
        scores={name: rng.uniform(size=count) for name in ("visual", "mds")},
    )


@pytest.mark.parametrize("kind", ["face_swap", "lip_sync"])
def test_each_kind_of_fake_is_judged_against_all_reals(scored, kind):
    judged = judging.judge(scored)[kind]
    mask = np.array([k in ("", kind) for k in KINDS])
    assert (judged.fakes, judged.reals, judged.people) == (KINDS.count(kind), 15, 5)
    for name, values in scored.scores.items():
        expected = roc_auc_score(np.array(KINDS)[mask] != "", values[mask])
        assert judged.values[name] == pytest.approx(expected)
        low, high = np.quantile(judged.draws[name], [0.025, 0.975])
        assert low < expected < high


def test_a_model_differs_from_itself_by_nothing_whoever_is_drawn(scored):
    judged = judging.judge(scored)["face_swap"]
    difference = judged.auc("mds", judged)
    # Without an interval: every draw differs by nothing.
    assert str(difference) == "0.00"
    again = judging.judge(scored)["face_swap"]
    np.testing.assert_array_equal(again.draws["mds"], judged.draws["mds"])


def test_a_difference_is_between_the_two_models(scored):
    worse = dataclasses.replace(
        scored, scores={name: -values for name, values in scored.scores.items()}
    )
    one, other = judging.judge(scored)["lip_sync"], judging.judge(worse)["lip_sync"]
    expected = 2 * one.values["visual"] - 1
    assert one.auc("visual", other).value == pytest.approx(expected)
