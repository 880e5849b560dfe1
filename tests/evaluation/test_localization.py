import json
import pathlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.evaluation import samples
from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.evaluation import (
    evaluation,
    localization,
    localization_metrics,
    score_files,
    thresholds,
)
from tfmds.evaluation.bootstrap import Bootstrap
from tfmds.evaluation.localization import Localizer
from tfmds.evaluation.localization_metrics import Proposals, Truth

REFERENCE = json.loads(
    (pathlib.Path(__file__).parent / "localization_reference.json").read_text()
)


def proposals(*rows):
    """Rows are (video, start, end, confidence)."""
    columns = np.array(rows, float).reshape(-1, 4).T
    return Proposals.ordered(columns[0].astype(int), *columns[1:])


def measures(found, truth, num_videos=9):
    groups = np.arange(num_videos)
    return {
        name: estimate.value
        for name, estimate in localization_metrics.evaluate(found, truth, groups)
    }


@pytest.mark.parametrize("case", REFERENCE)
def test_measures_agree_with_the_evaluator_of_av_deepfake1m(case):
    videos = list(case["videos"].values())
    truth = Truth.of([video["periods"] for video in videos])
    found = proposals(
        *(
            (row, start, end, confidence)
            for row, video in enumerate(videos)
            for confidence, start, end in video["proposals"]
        )
    )
    answer = measures(found, truth, len(videos))
    for count, value in case["answer"]["ar"].items():
        assert answer[f"ar@{count}"] == pytest.approx(value, abs=1e-6)
    for iou, value in case["answer"]["ap"].items():
        # It leaves out the area up to the first proposal, where that is a hit.
        hits = localization_metrics.match(found, truth, float(iou))
        left_out = hits[np.argmax(found.confidence)] / len(truth)
        assert answer[f"ap@{iou}"] - left_out == pytest.approx(value, abs=1e-6)


def test_the_reference_holds_both_kinds_of_cases():
    surest = []
    for case in REFERENCE:
        videos = list(case["videos"].values())
        truth = Truth.of([video["periods"] for video in videos])
        found = proposals(
            *((r, s, e, c) for r, v in enumerate(videos) for c, s, e in v["proposals"])
        )
        hits = localization_metrics.match(found, truth, 0.5)
        surest.append(bool(hits[np.argmax(found.confidence)]))
    assert surest.count(True) >= 3
    assert surest.count(False) >= 3


def test_a_perfect_answer_is_worth_1():
    truth = Truth.of([[(1, 2)], [(0, 4), (6, 9)], []])
    found = proposals((0, 1, 2, 0.5), (1, 0, 4, 0.9), (1, 6, 9, 0.4))
    assert set(measures(found, truth).values()) == {1.0, 3}


def test_average_precision_by_hand():
    truth = Truth.of([[(0, 10)], [(0, 10)], []])
    # In order of confidence: miss (real video), hit, miss (second of its period), hit.
    found = proposals((2, 0, 10, 0.9), (0, 0, 8, 0.8), (0, 1, 10, 0.7), (1, 0, 6, 0.6))
    answer = measures(found, truth)
    # Precision 1/2 and 2/4 at the hits.
    assert answer["ap@0.5"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    # At IoU 0.75 the first period is found by the second-best of its proposals, too,
    # but takes the first; the second period has IoU 0.6.
    assert answer["ap@0.75"] == pytest.approx((1 / 2) / 2)
    assert answer["ap@0.95"] == 0
    # IoU 0.9 passes 8 of the ten levels 0.5, ... 0.95 (more than, not as much); 0.6
    # passes two.
    assert answer["ar@5"] == pytest.approx((0.8 + 0.2) / 2)


def test_recall_counts_only_the_surest_proposals_of_a_video():
    truth = Truth.of([[(0, 1)]])
    found = proposals(*((0, 5 + k, 6 + k, 1 - k / 50) for k in range(9)), (0, 0, 1, 0))
    answer = measures(found, truth)
    assert [answer[f"ar@{n}"] for n in (5, 10, 20)] == [0, 1, 1]


def test_overlap_of_exactly_the_level_is_no_hit():
    truth = Truth.of([[(0, 2)]])
    assert measures(proposals((0, 0, 1, 1)), truth)["ap@0.5"] == 0


def test_without_periods_there_is_a_reason_and_no_figure():
    found = dict(
        localization_metrics.evaluate(
            proposals((0, 0, 1, 1)), Truth.of([[]]), np.zeros(1, int)
        )
    )
    assert found["ap@0.5"].value is None
    assert "no fake periods" in found["ar@5"].reason


times = st.integers(0, 12).map(lambda x: x / 2)
stretch = st.tuples(times, st.integers(1, 8)).map(lambda p: (p[0], p[0] + p[1] / 2))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), stretch, st.integers(0, 3)), max_size=12),
    st.lists(st.lists(stretch, max_size=3), min_size=3, max_size=3),
    st.sampled_from([0.3, 0.5, 0.75]),
)
def test_measures_agree_with_a_slow_direct_computation(some, periods, iou):
    found = proposals(*((v, *p, c) for v, p, c in some))
    truth = Truth.of(periods)

    def overlap(a, b):
        inner = max(0, min(a[1], b[1]) - max(a[0], b[0]))
        return inner / (a[1] - a[0] + b[1] - b[0] - inner)

    rows = list(zip(found.video, found.start, found.end, strict=True))
    hits = [False] * len(rows)
    for video, in_video in enumerate(periods):
        for period in in_video:
            for k, (v, *p) in enumerate(rows):
                if v == video and not hits[k] and overlap(p, period) > iou:
                    hits[k] = True
                    break
    assert localization_metrics.match(found, truth, iou).tolist() == hits
    if not len(truth):
        return
    order = sorted(range(len(rows)), key=lambda k: -found.confidence[k])
    precision = [
        sum(hits[j] for j in order[: k + 1]) / (k + 1) for k in range(len(order))
    ]
    area = sum(
        max(precision[k:]) / len(truth) for k in range(len(order)) if hits[order[k]]
    )
    value = localization_metrics.average_precision(
        found.confidence, np.array(hits, bool), len(truth)
    )
    assert value == pytest.approx(area)


def test_intervals_are_those_of_drawing_groups_again():
    rng = np.random.default_rng(1)
    periods = [[(0, 2)] if k % 2 else [] for k in range(40)]
    rows = [
        (k, *((0.2, 2) if rng.random() < 0.6 else (4, 6)), rng.random())
        for k in range(40)
    ]
    groups = np.arange(40) // 4
    found, truth = proposals(*rows), Truth.of(periods)
    bootstrap = Bootstrap.draw(10, 200, seed=3)
    estimates = dict(localization_metrics.evaluate(found, truth, groups, bootstrap))
    slow = {"ap@0.5": [], "ar@5": []}
    for weights in bootstrap.weights:
        videos = [k for k in range(40) for _ in range(weights[groups[k]])]
        again = proposals(
            *((n, *rows[k][1:3], rows[k][3]) for n, k in enumerate(videos))
        )
        answer = measures(again, Truth.of([periods[k] for k in videos]), 400)
        for name, values in slow.items():
            values.append(answer[name])
    for name, values in slow.items():
        expected = np.quantile(values, (0.025, 0.975))
        assert estimates[name].interval == pytest.approx(tuple(expected), abs=0.02)


def periods_of(distances, localizer, hop=1.0):
    starts = np.arange(len(distances)) * hop
    return localizer.periods_of([0] * len(distances), starts, distances)


def test_a_stretch_of_high_distances_is_a_period():
    found = periods_of([0, 0, 0, 1, 1, 1, 0, 0], Localizer(low=0.5, high=0.5))
    assert found == (pytest.approx((3, 6)),)


def test_a_stretch_whose_peak_stays_below_the_high_level_is_none():
    distances = [0, 0.6, 0, 0, 0.6, 0.9, 0.6, 0]
    found = periods_of(distances, Localizer(low=0.5, high=0.8))
    assert len(found) == 1
    assert found[0][0] == pytest.approx(4, abs=0.5)
    assert found[0][1] == pytest.approx(7, abs=0.5)


def test_a_dip_above_the_low_level_does_not_cut_a_period():
    distances = [0, 0.9, 0.6, 0.9, 0]
    assert len(periods_of(distances, Localizer(low=0.5, high=0.8))) == 1
    assert len(periods_of(distances, Localizer(low=0.8, high=0.8))) == 2


def test_smoothing_passes_over_one_odd_chunk():
    distances = [0] * 10 + [1] + [0] * 10
    assert len(periods_of(distances, Localizer(0.6, 0.6), hop=0.1)) == 1
    assert not periods_of(distances, Localizer(0.6, 0.6, 1.0), hop=0.1)


def test_overlapping_chunks_find_the_ends_where_half_a_chunk_is_forged():
    hop, forged = 0.1, (2.35, 4.8)
    starts = np.arange(0, 9, hop)
    share = [max(0, min(forged[1], s + 1) - max(forged[0], s)) for s in starts]
    found = periods_of(share, Localizer(low=0.5, high=0.9), hop)
    assert found == (pytest.approx(forged, abs=0.02),)


def test_the_worst_face_counts_and_a_gap_ends_a_period():
    localizer = Localizer(low=0.5, high=0.5)
    found = localizer.periods_of(
        [0, 0, 0, 1, 1, 1, 2],
        [0.0, 1.0, 2.0, 1.0, 2.0, 3.0, 9.0],
        [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0],
    )
    assert found == (pytest.approx((1, 4), abs=0.06), pytest.approx((9, 10)))


def test_the_ends_of_a_track_are_ends_of_a_period():
    assert periods_of([1, 1, 1], Localizer(0.5, 0.5)) == (pytest.approx((0, 3)),)
    assert Localizer(0.5, 0.5).periods_of([], [], []) == ()


@settings(max_examples=40, deadline=None)
@example([1.0, 0.0, 1.0], 1e-297)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0, 1))
def test_periods_lie_in_the_video_in_order_and_apart(distances, low):
    found = periods_of(distances, Localizer(low, low))
    flat = [time for period in found for time in period]
    assert flat == sorted(flat)
    assert not flat or (flat[0] >= -1e-9 and flat[-1] <= len(distances) + 1e-9)
    if max(distances) > low + 1e-6:
        assert found
    if max(distances) < low:
        assert not found


@pytest.mark.parametrize(("hop", "least"), [(1.0, 0.8), (0.2, 0.9)])
def test_levels_chosen_on_validation_find_the_periods_of_test(hop, least):
    videos, chunks = samples.partial_fakes(hop=hop)
    localizer = localization.choose(videos, chunks, "validation")
    assert localizer.split == "validation"
    assert localizer.periods == 6
    assert localizer.hop_seconds == hop
    threshold = thresholds.Threshold(0.8, localizer=localizer)
    found = evaluation.evaluate(
        videos, chunks, split="test", threshold=threshold, num_draws=50
    )
    assert found.estimates["localization/ap@0.5"].value >= least
    assert found.estimates["localization/periods"].value == 6
    assert found.estimates["chunks/auc"].value > 0.9
    reported = [
        localizer.periods_of(
            *(
                column[chunks.video_id == name]
                for column in (chunks.track, chunks.start_seconds, chunks.distance)
            )
        )
        for name in videos.video_id[(videos.split == "test") & (videos.label == 1)]
    ]
    assert sum(map(bool, reported)) <= 1


def test_a_video_that_is_fake_throughout_is_left_out_and_named():
    videos, chunks = samples.partial_fakes(hop=0.2)
    whole = np.flatnonzero((videos.label == 0) & (videos.group == "p0"))
    for row in whole:
        videos.fake_periods[row] = ()
    localizer = localization.choose(videos, chunks, "validation")
    assert localizer.periods == 5
    threshold = thresholds.Threshold(0.8, localizer=localizer)
    found = evaluation.evaluate(
        videos, chunks, split="test", threshold=threshold, num_draws=20
    )
    assert found.estimates["localization/periods"].value == 5
    assert "fake throughout, there is nothing to be found in it: 1 of 12" in " ".join(
        found.notes
    )


def test_nothing_is_chosen_where_fakes_are_fake_throughout():
    videos, chunks = samples.tables()
    with pytest.raises(InputError, match="fake_periods"):
        localization.choose(videos, chunks, "validation")
    found = evaluation.evaluate(videos, chunks, split="test", num_draws=5)
    assert not any(name.startswith("localization") for name in found.estimates)


def test_without_levels_the_result_says_how_to_get_them():
    videos, chunks = samples.partial_fakes()
    found = evaluation.evaluate(videos, chunks, split="test", num_draws=5)
    assert "no levels for localization" in " ".join(found.notes)


def test_other_chunks_than_those_of_the_choice_are_named():
    localizer = Localizer(0.5, 0.6, hop_seconds=0.1, periods=3)
    notes = " ".join(localization.notes(localizer, 1.0))
    assert "every 0.1 s" in notes
    assert "3 fake periods only" in notes


def test_the_levels_travel_with_the_threshold(tmp_path):
    videos, chunks = samples.partial_fakes()
    localizer = localization.choose(videos, chunks, "validation")
    path = tmp_path / "threshold.json"
    threshold = thresholds.Threshold(0.8, localizer=localizer)
    thresholds.write(path, threshold)
    assert thresholds.read(path) == threshold


@pytest.mark.parametrize(
    "fields", [[], {"low": 1}, {"low": 1, "high": 0}, {"low": None, "high": 1}]
)
def test_levels_that_are_none_are_refused(fields):
    with pytest.raises(InputError, match=r"x: .*locali"):
        thresholds.Threshold.from_json({"value": 1, "localization": fields}, "x")


def test_periods_and_length_are_written_and_read(tmp_path):
    videos, chunks = samples.partial_fakes()
    score_files.write(tmp_path, videos, chunks)
    again = score_files.read_videos(tmp_path / "scores.csv")
    assert again.fake_periods.tolist() == videos.fake_periods.tolist()
    assert again.seconds.tolist() == videos.seconds.tolist()
    assert spec.FAKE in again.label
