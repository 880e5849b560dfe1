import numpy as np
import pytest

from benchmarks import alignment
from tests.evaluation.lag_samples import embeddings


def voiced(name: str, seed: int, seconds: float = 8.0) -> alignment.Voiced:
    """A mouth every 0.1 s and a voice every 20 ms that fit each other."""
    times, voice = embeddings(seconds, seed, hop=0.02)
    _, other = embeddings(seconds, seed + 1000, hop=0.02)
    mouth = 0.5 * voice + 0.5 * other
    return alignment.Voiced(
        name, name, times[::5] + 3.0, mouth[::5], times + 3.0, voice
    )


def test_swaps_and_shifts_are_told_from_own_voices():
    cases = alignment.cases([voiced(name, seed) for seed, name in enumerate("abcd")])
    own, swap, shift = alignment.judge(cases, alignment.aligned)
    assert [len(own), len(swap), len(shift)] == [4, 12, 8]
    assert max(own) < min(swap)
    assert max(own) < min(shift)
    assert alignment.figures(own, swap, shift).startswith("1.000 / 1.000")


def test_a_shifted_voice_is_found_where_it_was_put():
    own = voiced("a", 1)
    late = alignment.align(own.with_voice(own, 0.24))
    assert late.offset_seconds == pytest.approx(0.24, abs=0.02)


def test_pieces_are_the_beginning_and_the_end():
    own = voiced("a", 1)
    (first, _, _), (last, _, _) = alignment.pieces([(own, [], [])], 3)
    assert first.mouth_seconds[[0, -1]] == pytest.approx([3.0, 5.0])
    assert last.mouth_seconds[[0, -1]] == pytest.approx([8.0, 10.0])
    assert first.seconds == pytest.approx(3)
    # Nothing was copied.
    assert np.shares_memory(first.mouth, own.mouth)


def test_other_constants_are_tried_and_taken_back():
    own = voiced("a", 1)
    before = alignment.aligned(own)
    with alignment.otherwise(TOLERANCE=0.01, MOUTH_HOP=0.4):
        assert alignment.aligned(own) != before
    assert alignment.aligned(own) == before
