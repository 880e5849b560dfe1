from fractions import Fraction

import av
import numpy as np
import pytest

from tests import media as make
from tfmds.preprocessing.downmix import Downmix

RATE = 48_000


def mixed(channels, layout, sample_format="fltp", piece=1024):
    """What becomes of `[channels, samples]`, handed over in pieces."""
    to_format = av.AudioResampler(sample_format, layout, RATE)
    mix, found = None, []
    for i in range(0, channels.shape[1], piece):
        packed = np.ascontiguousarray(channels[:, i : i + piece].T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed.astype(np.float32), "flt", layout)
        frame.sample_rate, frame.pts, frame.time_base = RATE, i, Fraction(1, RATE)
        for converted in to_format.resample(frame):
            mix = mix or Downmix(converted, RATE)
            found += mix.add(converted)
    return np.concatenate([*found, *mix.end()])


def power(samples):
    return float(np.square(samples).mean())


@pytest.fixture(scope="module")
def voice():
    return make.tone(3.3) + 0.01 * make.tone(3.3, frequency=1500)


@pytest.mark.parametrize("sample_format", ["fltp", "s16", "s32p"])
def test_channels_that_agree_are_mixed_as_ffmpeg_does(voice, sample_format):
    other = 0.1 * make.tone(3.3, frequency=700)
    stereo = np.stack([voice + other, voice - other])
    found = mixed(stereo, "stereo", sample_format)
    assert len(found) == stereo.shape[1]
    gain = found @ voice / (voice @ voice)
    np.testing.assert_allclose(found, gain * voice, atol=2e-3)
    assert 0.9 < gain < 1.5


@pytest.mark.parametrize("sample_format", ["fltp", "s16"])
def test_where_channels_cancel_the_louder_is_heard(voice, sample_format):
    found = mixed(np.stack([-0.9 * voice, voice]), "stereo", sample_format)
    np.testing.assert_allclose(found, voice, atol=1e-3)


def test_what_begins_to_cancel_fades_over_and_stays(voice):
    cancels = np.arange(len(voice)) >= 2 * RATE
    found = mixed(np.stack([voice, np.where(cancels, -voice, voice)]), "stereo")
    assert power(found[2 * RATE + 4800 :]) == pytest.approx(power(voice), rel=0.05)
    # Where one becomes the other nothing clicks.
    steps = np.abs(np.diff(found))
    assert steps.max() < 2 * np.abs(np.diff(voice)).max()


def test_pieces_of_any_size_become_the_same(voice):
    stereo = np.stack([voice, -voice])
    expected = mixed(stereo, "stereo")
    np.testing.assert_array_equal(mixed(stereo, "stereo", piece=4999), expected)


def test_of_ambisonic_sound_all_directions_are_heard(voice):
    channels = np.stack([voice, 0.5 * voice, -2 * voice, voice])
    np.testing.assert_allclose(mixed(channels, "ambisonic 1"), voice, atol=1e-6)


@pytest.mark.parametrize("count", [3, 8, 12, 24])
def test_a_voice_on_any_one_of_many_channels_is_heard(voice, count):
    for channel in range(count):
        channels = np.zeros((count, RATE))
        channels[channel] = voice[:RATE]
        found = mixed(channels, f"{count} channels")
        assert power(found) > 0.01 * power(voice)
