"""The mix is FFmpeg's; what cancels in it is heard all the same."""

from fractions import Fraction

import av
import numpy as np
import pytest

from tfmds.preprocessing.downmix import Downmix

RATE = 48_000


def frames(channels, layout, sample_format="flt"):
    """Frames of 1000 samples of sound `[channels, samples]`."""
    to_format = av.AudioResampler(sample_format, layout, RATE)
    for at in range(0, channels.shape[1], 1000):
        piece = np.ascontiguousarray(channels[:, at : at + 1000].T.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(piece.astype(np.float32), "flt", layout)
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), at
        yield from to_format.resample(frame)


def mixed(given, rate=RATE):
    given = list(given)
    downmix = Downmix(given[0], rate)
    pieces = [piece for frame in given for piece in downmix.add(frame)]
    return np.concatenate([*pieces, *downmix.end()])


def noise(count, seconds=2.5):
    shape = count, round(seconds * RATE)
    return np.random.default_rng(1).uniform(-0.3, 0.3, shape).astype(np.float32)


@pytest.mark.parametrize("layout", ["mono", "stereo", "quad", "5.1", "7.1"])
@pytest.mark.parametrize(("sample_format", "near"), [("fltp", 1e-6), ("s16", 1e-4)])
def test_channels_of_their_own_are_mixed_as_ffmpeg_does(layout, sample_format, near):
    sound = noise(av.AudioLayout(layout).nb_channels)
    given = list(frames(sound, layout, sample_format))
    mono = av.AudioResampler("flt", "mono", 16_000)
    expected = np.concatenate(
        [f.to_ndarray()[0] for g in [*given, None] for f in mono.resample(g)]
    )
    np.testing.assert_allclose(mixed(given, 16_000), expected, atol=near)


@pytest.mark.parametrize(
    ("layout", "gains"),
    [
        ("stereo", (1, -1)),
        ("stereo", (1, -0.8)),
        ("quad", (1, -1, 0, 0)),
        ("quad", (1, -1, 1, -1)),
        ("5.1", (1, -1, 0, 0, 0, 0)),
        ("5.1", (1, 1, -1.4142, 0, 0, 0)),
        ("5.1", (0, 0, 0, 0, 1, -1)),
        ("7.1", (1, -1, 0, 0, 0, 0, 0, 0)),
    ],
)
@pytest.mark.parametrize("sample_format", ["fltp", "s16", "u8"])
def test_channels_that_cancel_are_heard_by_the_loudest(layout, gains, sample_format):
    voice = 0.5 * noise(1)
    found = mixed(frames(np.array(gains)[:, None] * voice, layout, sample_format))
    # No more is lost of it than by the eight bits of the coarsest format.
    loudest = gains[int(np.argmax(np.abs(gains)))]
    np.testing.assert_allclose(found, loudest * voice[0], atol=0.02)


def test_of_ambisonic_sound_that_of_all_directions_is_taken():
    # In its order of channels the first one has no direction.
    sound = noise(4)
    given = list(frames(sound, "ambisonic 1"))
    np.testing.assert_allclose(mixed(given), sound[0], atol=1e-6)
