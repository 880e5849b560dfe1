import dataclasses

import numpy as np
import pytest

from tests.evaluation.lag_samples import evidence, record, spliced
from tfmds.evaluation import chain, course, lag_evidence


@pytest.mark.parametrize("seconds", [5, 15, 60])
def test_own_voices_score_below_those_of_others_whatever_the_length(seconds):
    own = [course.trace(evidence(seconds, 0.08, s)).score for s in range(8)]
    other = [course.trace(evidence(seconds, None, s)).score for s in range(8)]
    assert max(own) < min(other)
    assert max(own) < -2 < min(other)


def test_a_part_with_anothers_voice_is_found_where_it_is():
    found = course.trace(spliced((8, 0.08), (6, None), (8, 0.08)))
    assert found.score > course.trace(spliced((8, 0.08), (6, 0.08), (8, 0.08))).score
    inside = (found.start_seconds >= 8) & (found.start_seconds < 14)
    assert np.mean(found.none[inside] > 0.5) > 0.8
    assert np.mean(found.none[~inside] < 0.5) > 0.9


def test_a_slip_is_out_of_step_and_not_forged():
    found = course.trace(spliced((10, 0.08), (10, -0.52)))
    assert found.is_out_of_step
    assert found.score <= -5
    early = found.start_seconds >= 10
    assert np.median(found.offset_seconds[early]) == pytest.approx(-0.52, abs=0.03)
    assert np.median(found.offset_seconds[~early]) == pytest.approx(0.08, abs=0.03)
    assert (found.out_of_step[~early][:-1] < 0.5).all()


def test_a_slow_clock_is_followed():
    starts, distances = record(20, 0.0, drift=0.02)
    found = course.trace(lag_evidence.sum_up(starts, distances))
    expected = 0.02 * (found.start_seconds + 0.4)
    assert found.offset_seconds[1:-1] == pytest.approx(expected[1:-1], abs=0.05)
    assert not (found.none > 0.5).any()
    assert found.is_out_of_step


def test_who_speaks_by_turns_is_nobody_elses_forgery():
    # Two faces in view; the first speaks first, then the second.
    found = course.trace(
        [
            *evidence(10, 0.08, 0, 0, track=0),
            *evidence(10, None, 1, 0, track=1),
            *evidence(10, None, 2, 10, track=0),
            *evidence(10, 0.08, 3, 10, track=1),
        ]
    )
    assert found.score < -2
    assert set(found.track[:9]) == {0}
    assert set(found.track[11:]) == {1}


def test_silence_and_still_pictures_are_no_evidence():
    said = evidence(8, 0.08, 0)
    after = evidence(8, None, 1, at=8.0)
    loud = [dataclasses.replace(e, loudness=18.0, mouth_motion=2.0) for e in said]
    alone = course.trace(loud)
    for change, name in (
        ({"loudness": 3.0, "mouth_motion": 2.0}, "silent"),
        ({"loudness": 18.0, "mouth_motion": 0.1}, "still"),
        # A frozen picture whose codec mends it picture by picture.
        ({"loudness": 18.0, "mouth_motion": 0.55}, "still"),
    ):
        more = [dataclasses.replace(e, **change) for e in after]
        found = course.trace([*loud, *more])
        assert found.score == alone.score
        assert getattr(found, name)[0][0] == 8.0
        assert (found.start_seconds < 8).all()


def test_of_too_little_there_is_no_score():
    assert course.trace(evidence(1.4, 0.08)).score is None
    assert course.trace([]).score is None
    assert course.trace(evidence(3, 0.08)).score is not None


def test_a_scene_with_anothers_voice_is_found():
    found = course.trace([*evidence(8, 0.08, 0), *evidence(8, None, 1, 8.0, track=1)])
    assert found.is_cut.tolist().index(True) == 8
    assert found.score > course.trace(evidence(16, 0.08)).score + 3
    assert found.none[9:].mean() > 10 * found.none[:7].mean()


def test_going_back_agrees_with_all_courses_counted_one_by_one(monkeypatch):
    """Probabilities of three seconds against a sum over every course."""
    monkeypatch.setattr(chain, "MAX_LAG", 0.04)
    monkeypatch.setattr(chain, "_DEPTHS", np.array([1.5]))
    monkeypatch.setattr(chain, "_VARIATIONS", np.array([0.3]))

    @dataclasses.dataclass
    class Cells:
        tracks = np.zeros((1, 3), int)
        seconds = np.ones((1, 3))
        is_cut = np.array([False, False, True])
        fit = np.random.default_rng(0).normal(-1, 1, (1, 3, 3))

    cells = Cells()
    made = chain.Chain(cells)
    made.forward()
    made.backward()

    size = 1 * 2 * 3 * 3
    begin = np.zeros(size)
    begin[:9].reshape(3, 3)[0] = made._lag * chain._BEGINS_WITH_NONE
    begin[9:].reshape(3, 3)[0] = made._lag * (1 - chain._BEGINS_WITH_NONE)
    steps = [
        np.stack(
            [made._step(row.reshape(1, 2, 3, 3), t).ravel() for row in np.eye(size)]
        )
        for t in (1, 2)
    ]
    weights = [
        np.broadcast_to(made._weights(t)[0], (1, 2, 3, 3)).ravel() for t in range(3)
    ]
    joint = np.einsum(
        "a,a,ab,b,bc,c->abc",
        begin,
        weights[0],
        steps[0],
        weights[1],
        *(
            steps[1],
            weights[2],
        ),
    )
    joint /= joint.sum()
    for t, axes in enumerate(((1, 2), (0, 2), (0, 1))):
        assert made.none[t] == pytest.approx(joint.sum(axis=axes)[:9].sum())


def test_seconds_say_the_same_however_many_are_gone_through_at_a_time(monkeypatch):
    said = spliced((8, 0.08), (6, None), (8, 0.08))
    whole = course.trace(said)
    monkeypatch.setattr(chain, "_BLOCK", 5)
    parts = course.trace(said)
    np.testing.assert_allclose(parts.none, whole.none, rtol=1e-9)
    np.testing.assert_allclose(parts.offset_seconds, whole.offset_seconds)


def test_a_listener_in_another_shot_is_no_evidence():
    said = evidence(10, 0.08, 0, track=0)
    listens = evidence(10, None, 1, 10.0, track=1)
    found = course.trace(
        [dataclasses.replace(e, mouth_motion=2.5) for e in said]
        + [dataclasses.replace(e, mouth_motion=0.65) for e in listens]
    )
    alone = course.trace([dataclasses.replace(e, mouth_motion=2.5) for e in said])
    assert found.score == alone.score
    assert set(found.track) == {0}
    assert found.still[0][0] == 10.0
