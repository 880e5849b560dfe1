import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfmds.evaluation.calibration import Calibration
from tfmds.evaluation.judgement import (
    JudgedChunk,
    SkippedTrack,
    VideoJudgement,
    merge_periods,
)
from tfmds.evaluation.localization import Localizer
from tfmds.evaluation.thresholds import Threshold


def judgement(distances, threshold=0.5, **fields):
    chunks = tuple(
        JudgedChunk(track, start, distance) for track, start, distance in distances
    )
    return VideoJudgement("a.mp4", "ok", Threshold(threshold), chunks=chunks, **fields)


def test_the_verdict_is_fake_at_the_threshold_and_above():
    assert judgement([(0, 0.0, 0.25), (0, 1.0, 0.75)]).verdict == "fake"
    assert judgement([(0, 0.0, 0.25), (0, 1.0, 0.74)]).verdict == "real"


def test_seconds_are_told_apart():
    found = judgement(
        [(0, 1.0, 0.6), (0, 2.0, 0.7), (0, 3.0, 0.1), (1, 2.0, 0.2), (1, 6.0, 0.5)],
        seconds_total=8.5,
    )
    assert found.scored_periods == ((1, 4), (6, 7))
    assert found.unscored_periods == ((0, 1), (4, 6), (7, 8.5))
    assert found.suspicious_periods == ((1, 3), (6, 7))
    assert found.seconds_scored == 4
    assert found.seconds_suspicious == 3
    assert found.tracks == (0, 1)
    assert found.of_track(1).mds == pytest.approx(0.35)


def test_the_json_form_is_json_and_complete():
    found = judgement(
        [(3, 0.0, 0.25), (3, 1.0, 0.75)],
        seconds_total=3.0,
        skipped_tracks=(SkippedTrack(0.0, 0.5, "shorter than 50 frames"),),
        model_id="m",
    )
    fields = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert fields["verdict"] == "fake"
    assert fields["mds"] == fields["threshold"] == 0.5
    assert fields["suspicious_periods"] == [[1.0, 2.0]]
    assert fields["unscored_periods"] == [[2.0, 3.0]]
    expected = {"start_seconds": 1.0, "distance": 0.75, "box": []}
    assert fields["tracks"][0]["chunks"][1] == expected
    assert fields["skipped_tracks"][0]["reason"] == "shorter than 50 frames"


def test_fake_periods_are_those_of_the_localization():
    distances = [(0, 0.0, 0.1), (0, 1.0, 0.9), (0, 2.0, 0.9), (0, 3.0, 0.1)]
    found = judgement(distances)
    assert found.fake_periods is None
    assert found.to_json()["fake_periods"] is None
    threshold = Threshold(0.5, localizer=Localizer(low=0.5, high=0.8))
    found = VideoJudgement("a.mp4", "ok", threshold, chunks=found.chunks)
    assert found.to_json()["fake_periods"] == [[1.0, 3.0]]


def test_a_video_without_a_score_has_no_verdict():
    found = VideoJudgement(
        "a.mp4", "no_face", Threshold(0.5), "none seen", seconds_total=2
    )
    fields = found.to_json()
    assert fields["verdict"] == ""
    assert fields["mds"] is None
    assert fields["reason"] == "none seen"
    assert fields["unscored_periods"] == [[0.0, 2]]


def test_status_and_chunks_go_together():
    with pytest.raises(ValueError, match="no_face"):
        VideoJudgement("a", "no_face", Threshold(1), chunks=(JudgedChunk(0, 0, 1),))
    with pytest.raises(ValueError, match="0 chunks"):
        VideoJudgement("a", "ok", Threshold(1))


def test_the_threshold_says_how_sure_the_verdict_is():
    threshold = Threshold(
        0.5, interval=(0.4, 0.6), calibration=Calibration("logistic", 4.0, -2.0)
    )
    near, far = (
        VideoJudgement("a", "ok", threshold, chunks=(JudgedChunk(0, 0.0, d),))
        for d in (0.5, 0.9)
    )
    assert near.is_borderline
    assert not far.is_borderline
    assert near.fake_probability == pytest.approx(0.5)
    assert far.fake_probability > 0.8


periods = st.tuples(st.integers(0, 30), st.integers(1, 5)).map(
    lambda p: (float(p[0]), float(p[0] + p[1]))
)


@given(st.lists(periods, max_size=12))
def test_merged_periods_cover_the_same_and_do_not_touch(some):
    merged = merge_periods(some)
    covered = {s for start, end in some for s in range(int(start), int(end))}
    assert covered == {s for start, end in merged for s in range(int(start), int(end))}
    assert all(a[1] < b[0] for a, b in zip(merged, merged[1:], strict=False))
