import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.lag_samples import record
from tfmds.detection import judgement_json
from tfmds.evaluation import lag_evidence
from tfmds.evaluation.calibration import Calibration
from tfmds.evaluation.fusion import FusedInput, Fusion
from tfmds.evaluation.localization import Localizer
from tfmds.evaluation.thresholds import Threshold
from tfmds.judgement.judgement import VideoJudgement
from tfmds.judgement.seen import JudgedChunk, SkippedTrack, merge_periods
from tfmds.reporting import sentences


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
    fields = json.loads(json.dumps(judgement_json.write(found), allow_nan=False))
    assert fields["verdict"] == "fake"
    assert fields["mds"] == fields["threshold"] == 0.5
    assert fields["suspicious_periods"] == [[1.0, 2.0]]
    assert fields["unscored_periods"] == [[2.0, 3.0]]
    expected = {"start_seconds": 1.0, "distance": 0.75, "box": [], "suspicious": True}
    expected["reading"] = "does_not_fit"
    assert fields["tracks"][0]["chunks"][1] == expected
    assert fields["skipped_tracks"][0]["reason"] == "shorter than 50 frames"


def test_fake_periods_are_those_of_the_localization():
    distances = [(0, 0.0, 0.1), (0, 1.0, 0.9), (0, 2.0, 0.9), (0, 3.0, 0.1)]
    found = judgement(distances)
    assert found.fake_periods is None
    assert judgement_json.write(found)["fake_periods"] is None
    threshold = Threshold(0.5, localizer=Localizer(low=0.5, high=0.8))
    found = VideoJudgement("a.mp4", "ok", threshold, chunks=found.chunks)
    assert judgement_json.write(found)["fake_periods"] == [[1.0, 3.0]]


def test_of_a_video_without_a_score_nothing_can_be_told():
    found = VideoJudgement(
        "a.mp4", "no_face", Threshold(0.5), "none seen", seconds_total=2
    )
    fields = judgement_json.write(found)
    assert fields["verdict"] == "cannot_tell"
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


class TestByTheAlignedScore:
    """Faces by their number: how late their sound is, None for another's voice."""

    def judge(self, *faces, seconds=10.0, threshold=-1.0):
        evidence, chunks = [], []
        for track, offset in enumerate(faces):
            starts, distances = record(seconds, offset, seed=track)
            evidence += lag_evidence.sum_up(starts, distances, track)
            chunks += [JudgedChunk(track, float(t), 1.0) for t in range(int(seconds))]
        return VideoJudgement(
            "a.mp4",
            "ok",
            Threshold(threshold, score="aligned"),
            chunks=tuple(chunks),
            evidence=tuple(evidence),
        )

    @pytest.mark.parametrize(
        ("offset", "verdict"),
        [(0.08, "real"), (-0.4, "out_of_step"), (0.52, "out_of_step"), (None, "fake")],
    )
    def test_verdicts(self, offset, verdict):
        found = self.judge(offset)
        assert found.verdict == verdict
        assert found.value == found.whole.aligned
        assert (found.value >= -1) == (verdict != "real")
        fields = json.loads(json.dumps(judgement_json.write(found), allow_nan=False))
        assert fields["verdict"] == verdict
        assert fields["score"] == "aligned"
        assert fields["aligned"] == pytest.approx(found.value, abs=1e-4)
        assert fields["offset_is_clear"] == (offset is not None)
        if offset is not None:
            assert fields["offset_seconds"] == pytest.approx(offset, abs=0.02)
            step = "early" if offset < 0 else "late"
            assert sentences.explanation(found).count("The sound is 0.") == 1
            assert step in sentences.explanation(found)

    def test_too_little_is_told_and_not_judged(self):
        found = self.judge(0.08, seconds=1.4)
        assert found.verdict == "cannot_tell"
        assert "1.4 s" in sentences.explanation(found)
        assert found.suspicious_periods == ()
        assert found.fake_probability is None

    def test_a_video_that_cannot_be_used_cannot_be_told(self):
        threshold = Threshold(-1.0, score="aligned")
        found = VideoJudgement("a.mp4", "no_face", threshold, reason="no face")
        assert found.verdict == "cannot_tell"
        assert judgement_json.write(found)["status"] == "no_face"
        assert judgement_json.write(found)["aligned"] is None

    def test_a_listener_is_not_called_fake(self):
        found = self.judge(None, 0.08)
        assert found.verdict == "real"
        assert [found.speaks(track) for track in (0, 1)] == [False, True]
        assert found.suspicious_periods == ()
        speaks = [track["speaks"] for track in judgement_json.write(found)["tracks"]]
        assert speaks == [False, True]

    def test_a_voice_that_fits_nobody_is_fake_and_nobody_is_said_to_speak(self):
        found = self.judge(None, None)
        assert found.verdict == "fake"
        assert found.speaks(0) is None
        assert found.speaks(1) is None
        assert found.suspicious_periods == ((0, 10),)

    def with_motion(self, found, *motions):
        chunks = [
            dataclasses.replace(chunk, mouth_motion=motions[chunk.track])
            for chunk in found.chunks
        ]
        return dataclasses.replace(found, chunks=tuple(chunks))

    def test_a_voice_over_a_still_picture_comes_from_elsewhere(self):
        found = self.with_motion(self.judge(None), 0.1)
        assert found.verdict == "cannot_tell"
        assert "from elsewhere" in sentences.explanation(found)
        assert found.suspicious_periods == ()
        assert found.speaks(0) is False
        assert self.with_motion(self.judge(None), 2.0).verdict == "fake"

    @pytest.mark.parametrize("offset", [0.08, 0.52])
    def test_what_fits_a_still_picture_fits_it_by_chance(self, offset):
        moving = self.judge(offset)
        assert moving.verdict != "cannot_tell"
        still = self.with_motion(moving, 0.1)
        assert still.value == moving.value
        assert still.verdict == "cannot_tell"
        assert "no mouth in view moves" in sentences.explanation(still)

    def test_of_what_cannot_be_told_no_probability_is_told(self):
        calibrated = Threshold(
            -1.0,
            score="aligned",
            interval=(-100.0, 100.0),
            calibration=Calibration("logistic", 1.0, 0.0),
        )
        moving = dataclasses.replace(self.judge(None), threshold=calibrated)
        assert moving.fake_probability is not None
        assert moving.is_borderline
        still = self.with_motion(moving, 0.1)
        assert still.fake_probability is None
        assert not still.is_borderline

    def test_less_than_the_threshold_knows_is_told(self):
        threshold = Threshold(
            -1.0,
            score="aligned",
            calibration=Calibration("logistic", 1.0, 0.0),
            quantiles={"real": (-9.0, -1.0), "fake": (-1.0, 1.0)},
            shortest_seconds=4.0,
        )
        long, short = (
            dataclasses.replace(self.judge(0.08, seconds=s), threshold=threshold)
            for s in (4.0, 3.0)
        )
        assert long.fake_probability < 0.1
        assert long.shares["fake"] == 0
        assert "Only" not in sentences.explanation(long)
        assert short.verdict == long.verdict == "real"
        assert "Only 3.0 s could be compared" in sentences.explanation(short)
        assert "4 s and more" in sentences.explanation(short)
        assert short.fake_probability is None
        assert short.shares is None

    @pytest.mark.parametrize(
        ("tau", "verdict"), [(-1.0, "fake"), (5.0, "real"), (2.0, "real")]
    )
    def test_a_verdict_that_its_probability_speaks_against_is_borderline(
        self, tau, verdict
    ):
        value = self.judge(None).value
        assert -1 < value < 2
        # One half at the score 2.
        threshold = Threshold(
            tau, score="aligned", calibration=Calibration("logistic", 1.0, -2.0)
        )
        found = dataclasses.replace(self.judge(None), threshold=threshold)
        assert found.verdict == verdict
        assert found.fake_probability < 0.5
        assert found.is_borderline == (verdict == "fake")

    def test_a_video_that_is_as_likely_another_voice_barely_fits(self):
        curve = Calibration("logistic", 1.0, 99.0)
        threshold = Threshold(-1.0, score="aligned", calibration=curve)
        sure = self.judge(0.08)
        assert sentences.explanation(sure).startswith("Mouth and voice fit.")
        found = dataclasses.replace(sure, threshold=threshold)
        assert found.verdict == "real"
        assert found.is_borderline
        assert sentences.explanation(found).startswith("Mouth and voice barely fit.")

    def test_faces_that_were_left_out_are_not_said_to_have_been_heard(self):
        skipped = (SkippedTrack(0.0, 5.0, "face 2, it was not chosen (--tracks)"),)
        found = dataclasses.replace(self.judge(None), skipped_tracks=skipped)
        assert "not fit any mouth that was looked at" in sentences.explanation(found)
        assert "in view" not in sentences.explanation(found)
        still = self.with_motion(found, 0.1)
        assert "of a face that was left out" in sentences.explanation(still)

    def test_without_distances_of_mismatches_there_is_no_level_to_hold_against(self):
        # The threshold is in other units than the distances.
        assert self.judge(0.08).level is None
        chunks = [
            dataclasses.replace(c, mismatch_distance=float(m))
            for c, m in zip(self.judge(0.08).chunks, range(10), strict=True)
        ]
        found = dataclasses.replace(self.judge(0.08), chunks=tuple(chunks))
        assert found.level == 4.5

    def test_a_picture_on_the_wall_is_not_judged(self):
        found = self.with_motion(self.judge(None, 0.08), 0.1, 2.0)
        alone = self.with_motion(self.judge(None, 0.08).of_track(1), 0.1, 2.0)
        assert found.value == alone.value
        assert [found.speaks(track) for track in (0, 1)] == [False, True]

    def test_seconds_that_do_not_fit_while_others_do_are_suspicious(self):
        found = self.judge(0.08)
        chunks = [
            dataclasses.replace(
                chunk,
                offset_distance=1.2 if 4 <= chunk.start_seconds < 8 else 0.7,
                mismatch_distance=1.1,
            )
            for chunk in found.chunks
        ]
        found = dataclasses.replace(found, chunks=tuple(chunks))
        assert found.verdict == "real"
        # The mean of three seconds at the edges holds one that fits.
        assert found.suspicious_periods == ((5, 7),)

    def test_the_judgement_survives_json(self):
        found = self.judge(0.08, None)
        fields = json.loads(json.dumps(judgement_json.write(found)))
        assert judgement_json.read(fields, found.threshold) == found


def by_heads(visual, audio, told=("visual", "audio"), thresholds=("visual", "audio")):
    chunks = tuple(
        JudgedChunk(0, float(at), 0.2, heads={"visual": v, "audio": a})
        for at, (v, a) in enumerate(zip(visual, audio, strict=True))
    )
    levels = {"visual": 0.6, "audio": 0.3}
    heads = {s: Threshold(levels[s], score=s) for s in thresholds}
    threshold = Threshold(0.5, heads=heads)
    return VideoJudgement("a.mp4", "ok", threshold, chunks=chunks, told_streams=told)


@pytest.mark.parametrize(
    ("visual", "audio", "said"),
    [
        # Means of 0.7 and 0.2 against 0.6 and 0.3.
        ((0.5, 0.9), (0.1, 0.3), "By itself, the picture looks forged; the voice does"),
        ((0.1, 0.9), (0.6, 0.8), "By itself, the voice looks forged; the picture does"),
        ((0.6, 0.6), (0.9, 0.9), "By themselves, picture and voice both look forged."),
        ((0.1, 0.1), (0.0, 0.1), "By themselves, neither picture nor voice looks"),
    ],
)
def test_a_video_says_which_stream_looks_forged(visual, audio, said):
    found = by_heads(visual, audio)
    assert found.verdict == "real"
    assert sentences.explanation(found).startswith(
        "Mouth and voice belong together as in real videos: their distance is 0.200,"
        f" below 0.500. {said}"
    )
    fields = judgement_json.write(found)["streams"]
    for stream, values, level in (("visual", visual, 0.6), ("audio", audio, 0.3)):
        mean = sum(values) / 2
        assert fields[stream]["fake_probability"] == pytest.approx(mean)
        assert fields[stream]["looks_forged"] == (mean >= level)


def test_one_head_alone_says_nothing_of_the_other_stream():
    found = by_heads((0.9,), (0.9,), thresholds=("visual",))
    said = "By itself, the picture looks forged; nothing is said of the voice."
    assert sentences.streams(found) == said
    # Its probability is there, without a claim.
    fields = judgement_json.write(found)["streams"]["audio"]
    assert fields == {
        "part": "sound",
        "fake_probability": 0.9,
        "threshold": None,
        "looks_forged": None,
    }
    found = by_heads((0.1,), (0.9,), thresholds=("visual",))
    assert "the picture does not look forged; nothing" in sentences.streams(found)


def test_a_model_that_was_not_trained_to_tell_claims_nothing():
    found = by_heads((0.9,), (0.9,), told=())
    assert found.looks_forged == {}
    assert sentences.explanation(found).endswith("distance is 0.200, below 0.500.")
    assert judgement_json.write(found)["streams"] == {}


def test_what_the_streams_look_like_is_read_back():
    found = by_heads((0.5, 0.9), (0.1, 0.3))
    fields = json.loads(json.dumps(judgement_json.write(found), allow_nan=False))
    again = judgement_json.read(fields, found.threshold)
    assert judgement_json.write(again) == judgement_json.write(found)
    assert again.looks_forged == {"visual": True, "audio": False}


def test_a_head_or_a_fused_score_can_be_what_a_video_is_judged_by():
    chunks = by_heads((0.5, 0.9), (0.1, 0.3)).chunks
    found = VideoJudgement("a.mp4", "ok", Threshold(0.6, score="visual"), chunks=chunks)
    assert found.value == pytest.approx(0.7)
    assert found.verdict == "fake"
    assert found.suspicious_periods == ((1.0, 2.0),)
    assert (
        "probability of the visual head is 0.700, at or above"
        in sentences.explanation(found)
    )
    fusion = Fusion(
        (FusedInput("mds", 0.1, 0.1, 1.0), FusedInput("visual", 0.5, 0.4, 2.0)), -1.5
    )
    threshold = Threshold(0.4, score="fused", fusion=fusion)
    found = VideoJudgement("a.mp4", "ok", threshold, chunks=chunks)
    # (0.2 - 0.1) / 0.1 + 2 (0.7 - 0.5) / 0.4 - 1.5
    assert found.value == pytest.approx(0.5)
    assert found.verdict == "fake"
    assert found.level is None
    assert found.suspicious_periods == ((0.0, 2.0),)
    said = sentences.legend(threshold)
    assert said.startswith("The fused score weighs these together; the MDS tells how")
    assert "whether the picture by itself looks" in said
    assert "the voice by itself" not in said
    bare = [dataclasses.replace(c, heads={}) for c in chunks]
    found = VideoJudgement("a.mp4", "ok", threshold, chunks=tuple(bare))
    assert found.verdict == "cannot_tell"
    assert sentences.explanation(found) == "Cannot tell: there is no fused score."
