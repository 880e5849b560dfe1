import numpy as np
import pytest
import python_speech_features

from tfmds import spec
from tfmds.preprocessing.mfcc import mfcc

SPEC = spec.ChunkSpec()
RATE = SPEC.sample_rate
RNG = np.random.default_rng(0)


def speech() -> np.ndarray:
    """A voice that hums, pauses and hisses."""
    t = np.arange(2 * RATE) / RATE
    pulses = (np.diff(np.floor(120 * t), prepend=0) > 0).astype(float)
    formant = np.exp(-t[:2000] * 400) * np.sin(2 * np.pi * 700 * t[:2000])
    voice = np.convolve(pulses, formant)[: len(t)]
    voice *= np.sin(2 * np.pi * 2 * t) > -0.5
    return 0.3 * voice + 0.001 * RNG.normal(size=len(t)) * (t > 1)


SOUNDS = {
    "speech": speech(),
    "noise": 0.1 * RNG.normal(size=RATE),
    "silence": np.zeros(RATE),
    "clipped": np.clip(3 * RNG.normal(size=RATE), -1, 1),
    "silence_then_noise": np.r_[np.zeros(RATE), 0.1 * RNG.normal(size=RATE)],
    "shorter_than_a_window": 0.1 * RNG.normal(size=500),
    "no_whole_hop": 0.1 * RNG.normal(size=20_123),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_equals_the_original(name):
    sound = SOUNDS[name]
    expected = python_speech_features.mfcc(sound * 32_768, RATE, nfft=2048)
    found = mfcc(sound, SPEC)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_second_has_99_frames():
    assert mfcc(SOUNDS["noise"], SPEC).shape == (99, 13)


def test_pieces_equal_the_whole():
    sound = SOUNDS["speech"].astype(np.float32)
    whole = mfcc(sound, SPEC, num_frames=190)
    pieces = []
    for first in (0, 50, 120):
        start = first * SPEC.mfcc_hop
        count = {0: 50, 50: 70, 120: 70}[first]
        stop = start + (count - 1) * SPEC.mfcc_hop + SPEC.mfcc_window
        before = sound[start - 1] if start else None
        pieces.append(mfcc(sound[start:stop], SPEC, before, count))
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-5)
