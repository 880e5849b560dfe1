import json

import numpy as np
import pytest

from tests.evaluation.lag_samples import record
from tfmds.evaluation import alignment, lag_evidence


def align(starts: np.ndarray, distances: np.ndarray) -> alignment.Alignment:
    return alignment.align(lag_evidence.sum_up(starts, distances))


def test_distances_are_taken_to_the_voice_that_begins_later_by_the_lag():
    mouth, voice = np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 1.0]])
    table = lag_evidence.distances_by_lag([1.0], mouth, [0.96, 1.4], voice)
    found = {
        round(lag, 2): value
        for lag, value in zip(lag_evidence.lags(), table[0], strict=True)
        if not np.isnan(value)
    }
    assert found == pytest.approx({-0.04: 5.0, 0.4: 1.0})


@pytest.mark.parametrize("offset", [-0.4, -0.08, 0.0, 0.12, 0.44])
def test_a_known_offset_is_found(offset):
    found = align(*record(10, offset))
    assert found.offset_is_clear
    assert found.offset_seconds == pytest.approx(offset, abs=0.021)
    assert found.is_out_of_step == (abs(offset - alignment.USUAL_OFFSET) > 0.21)


def test_what_fits_scores_far_below_what_does_not():
    own = [align(*record(6, 0.08, seed)).aligned for seed in range(20)]
    other = [align(*record(6, None, seed)).aligned for seed in range(20)]
    assert max(own) < min(other)
    # A fit that nobody would hear as being in step is none.
    late = [align(*record(6, 0.6, seed)).aligned for seed in range(20)]
    assert max(own) < min(late)


def test_what_a_distance_means_in_a_recording_plays_no_part():
    starts, distances = record(7, 0.04, fit=0.3)
    before, after = align(starts, distances), align(starts, 5 + 3 * distances)
    assert after.aligned == pytest.approx(before.aligned)
    assert after.clearness == pytest.approx(before.clearness)
    assert after.offset_seconds == before.offset_seconds


def test_what_a_mouth_or_a_voice_has_with_everything_plays_no_part():
    starts, distances = record(9, 0.04, fit=0.3)
    rng = np.random.default_rng(1)
    of_mouth = rng.normal(size=len(starts))
    voice = np.arange(len(starts))[:, None] * 5 + np.arange(len(lag_evidence.lags()))
    of_voice = rng.normal(size=voice.max() + 1)
    changed = distances + of_mouth[:, None] + of_voice[voice]
    before, after = align(starts, distances), align(starts, changed)
    assert after.aligned == pytest.approx(before.aligned, rel=0.02)
    assert after.offset_seconds == pytest.approx(before.offset_seconds, abs=0.01)


def test_more_seconds_of_the_same_say_more():
    scores = [align(*record(seconds, 0.04, fit=0.3)).aligned for seconds in (3, 6, 12)]
    assert scores[0] > scores[1] > scores[2]
    # Evidence adds up as the square root of the seconds.
    assert scores[2] / scores[0] == pytest.approx(2, rel=0.4)


@pytest.mark.parametrize("seconds", [2.4, 5, 20])
def test_noise_has_mean_0_and_deviation_1_whatever_the_length(seconds):
    found = [align(*record(seconds, None, seed)) for seed in range(60)]
    scores = [a.aligned for a in found]
    assert np.mean(scores) == pytest.approx(0.2, abs=0.4)
    assert np.std(scores) == pytest.approx(1, abs=0.35)
    assert np.mean([a.offset_is_clear for a in found]) < 0.1


def test_records_of_a_track_add_up():
    parts = [record(5, 0.08, seed, fit=0.3) for seed in range(4)]
    alone = [align(*part).aligned for part in parts]
    stretches = [
        stretch
        for number, (starts, distances) in enumerate(parts)
        for stretch in lag_evidence.sum_up(starts + 5 * number, distances)
    ]
    together = alignment.align(stretches)
    assert together.aligned < min(alone)
    assert together.seconds == pytest.approx(20)


def test_too_little_is_not_guessed_from():
    for seconds in (1.0, 1.2, 1.8):
        found = align(*record(seconds, 0.0))
        assert found.aligned is None
        assert found.offset_seconds is None
        assert not found.offset_is_clear
        assert not found.is_out_of_step
    assert align(*record(2.2, 0.0)).aligned is not None


def test_a_constant_distance_says_nothing():
    starts, distances = record(5, 0.0)
    assert align(starts, np.where(np.isnan(distances), np.nan, 1.3)).aligned is None


def test_a_voice_that_is_not_there_leaves_gaps():
    starts, distances = record(6, 0.08)
    assert np.isnan(distances[0]).sum() == np.isnan(distances[-1]).sum() == 50
    found = align(starts, distances)
    assert not np.isnan(found.distance).any()
    lowest = lag_evidence.lags()[np.argmin(found.distance)]
    assert lowest == pytest.approx(0.08)
    middle = len(lag_evidence.lags()) // 2
    assert found.distance[middle] == pytest.approx(np.mean(distances[:, middle]))


def test_stretches_survive_json():
    stretches = lag_evidence.sum_up(*record(8, 0.0))
    read = [
        lag_evidence.Evidence.from_json(json.loads(json.dumps(s.to_json())))
        for s in stretches
    ]
    assert read == stretches


class TestSeveralFaces:
    def stretches(self, track: int, offset: float | None, seed: int, at: float = 0.0):
        starts, distances = record(10, offset, seed, fit=0.4)
        return lag_evidence.sum_up(starts + at, distances, track)

    def test_the_face_that_the_voice_fits_is_the_speaker(self):
        found = alignment.align_video(
            [*self.stretches(0, None, 1), *self.stretches(1, 0.08, 2)]
        )
        assert {turn.track for turn in found.turns} == {1}
        assert set(found.spoken) == {1}
        assert found.spoken[1].seconds == pytest.approx(10)
        # Having had the choice costs a little.
        assert found.tracks[1].aligned < found.whole.aligned < found.tracks[0].aligned
        assert found.whole.aligned < -2

    def test_faces_take_turns(self):
        found = alignment.align_video(
            [
                *self.stretches(0, 0.08, 1),
                *self.stretches(1, None, 2),
                *self.stretches(0, None, 3, at=10),
                *self.stretches(1, 0.08, 4, at=10),
            ]
        )
        assert [turn.track for turn in found.turns] == [0, 0, 1, 1]
        assert found.whole.aligned < min(a.aligned for a in found.tracks.values())

    def test_a_voice_that_fits_nobody_fits_nobody(self):
        scores = [
            alignment.align_video(
                [
                    stretch
                    for face in range(4)
                    for stretch in self.stretches(face, None, 100 * seed + face)
                ]
            ).whole.aligned
            for seed in range(25)
        ]
        assert np.mean(scores) == pytest.approx(0.2, abs=0.5)

    def test_no_face_is_nobody(self):
        found = alignment.align_video([])
        assert found.whole.aligned is None
        assert found.turns == ()
        assert found.tracks == {}
