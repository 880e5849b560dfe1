import json

import pytest

from tests.evaluation.lag_samples import record
from tfmds.evaluation import lag_evidence
from tfmds.evaluation.thresholds import Threshold
from tfmds.judgement.judgement import VideoJudgement
from tfmds.judgement.seen import JudgedChunk
from tfmds.reporting import video_charts, video_page

pytestmark = pytest.mark.usefixtures("valid_charts")


def judged(*offsets, seconds=10.0):
    evidence, chunks = [], []
    for track, offset in enumerate(offsets):
        starts, distances = record(seconds, offset, seed=track)
        evidence += lag_evidence.sum_up(starts, distances, track)
        chunks += [
            JudgedChunk(
                track, float(t), 1.0, offset_distance=0.5, mismatch_distance=0.9
            )
            for t in range(int(seconds))
        ]
    return VideoJudgement(
        "a.mp4",
        "ok",
        Threshold(-1.0, score="aligned"),
        chunks=tuple(chunks),
        seconds_total=seconds,
        evidence=tuple(evidence),
    )


def test_the_page_says_that_a_video_is_out_of_step_and_by_how_much():
    judgement = judged(-0.4)
    page = video_page.video_page(judgement)
    assert "Out of step" in page
    assert f"The sound is {-judgement.whole.offset_seconds:.2f} s early" in page
    assert 'id="by-lag"' in page


def test_the_curve_has_its_dip_at_the_offset():
    judgement = judged(0.12)
    chart = video_charts.by_lag(judgement).to_dict()
    rows = chart["layer"][0]["data"]["values"]
    lowest = min(rows, key=lambda row: row["distance"])
    assert abs(lowest["lag"] - 0.12) < 0.03
    assert "+0.12 s" in json.dumps(chart)


def test_the_timeline_is_at_the_videos_own_offset_against_its_mismatches():
    chart = json.dumps(video_charts.dissonance(judged(0.08), 0).to_dict())
    assert '"distance": 0.5' in chart
    assert "not together" in chart
    assert '"threshold": 0.9' in chart


def test_the_page_says_who_speaks():
    page = video_page.video_page(judged(None, 0.08))
    assert "Face 1, not speaking" in page
    assert "Face 2, speaks" in page


def test_too_little_to_tell_is_said_without_a_curve():
    page = video_page.video_page(judged(0.08, seconds=1.4))
    assert "Cannot tell" in page
    assert 'id="by-lag"' not in page


def test_by_the_mds_nothing_is_said_of_lags():
    judgement = VideoJudgement(
        "a.mp4", "ok", Threshold(0.7), chunks=(JudgedChunk(0, 0.0, 0.5),)
    )
    page = video_page.video_page(judgement)
    assert 'id="by-lag"' not in page
    assert "aligned" not in page
    assert "Not called fake" in page
