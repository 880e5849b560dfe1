"""Sound of many channels becomes that of one, also where they cancel each other."""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

# What the power before counts a second later.
_DECAY = 0.5
# The mix is left where less of the channels' power than this is in it, and taken
# again where more than that is. Channels that differ keep some 1 of it.
_LOST, _KEPT = 0.1, 0.3
# A mix that is right has at least this part of the power of any channel, times 10.
_QUIETEST = 0.01
# Another channel is taken where it has this many times the power.
_LOUDER = 4.0
# Seconds in which one source becomes another.
_FADE_SECONDS = 0.1


class Downmix:
    """A stretch of sound in one layout, resampled and mixed to one channel.

    The mix is that of FFmpeg. Where the channels cancel each other (one is the other
    upside down) or their layout has no mix, the loudest is taken instead, of
    ambisonic sound that of all directions. This is decided second by second, by the
    power of the seconds so far.
    """

    def __init__(self, frame: av.AudioFrame, sample_rate: int):
        """Takes the format, layout and rate of a frame, which all must have.

        Args:
          frame: The first frame.
          sample_rate: Samples a second of what is made.
        """
        self._block = sample_rate
        self._fade = round(_FADE_SECONDS * sample_rate)
        count = frame.layout.nb_channels
        # Packed, since PyAV reads past the planes of frames with more than seven.
        self._resampler = av.AudioResampler("flt", frame.layout, sample_rate)
        # Of ambisonic sound the first channel is that of all directions.
        is_ambisonic = frame.layout.name.startswith("ambisonic")
        self._num_channels = 1 if is_ambisonic else count
        self._weights = _mix_weights(frame) if self._num_channels > 1 else None
        # Rows: the mix, where there is one, then the channels.
        self._num_rows = self._num_channels + (self._weights is not None)
        self._waiting: list[np.ndarray] = []
        self._num_waiting = 0
        self._power = np.zeros(self._num_rows)
        self._source: int | None = None

    def add(self, frame: av.AudioFrame) -> Iterator[np.ndarray]:
        """Takes a frame; yields pieces of float32 `[samples]`."""
        yield from self._take(frame, self._block)

    def end(self) -> Iterator[np.ndarray]:
        """Yields what is left."""
        yield from self._take(None, 1)

    def _take(self, frame: av.AudioFrame | None, least: int) -> Iterator[np.ndarray]:
        new = _samples(self._resampler, frame)[: self._num_channels]
        if self._num_rows == 1:
            if new.size:
                yield new[0]
            return
        self._waiting.append(new)
        self._num_waiting += new.shape[1]
        if self._num_waiting < least:
            return
        waiting = np.concatenate(self._waiting, axis=1)
        while waiting.shape[1] >= least:
            yield self._chosen(self._rows(waiting[:, : self._block]))
            waiting = waiting[:, self._block :]
        self._waiting, self._num_waiting = [waiting], waiting.shape[1]

    def _rows(self, channels: np.ndarray) -> np.ndarray:
        if self._weights is None:
            return channels
        mix = self._weights.astype(np.float32) @ channels
        return np.concatenate([mix[None], channels])

    def _chosen(self, block: np.ndarray) -> np.ndarray:
        power = np.square(block, dtype=np.float64).sum(axis=1)
        self._power = _DECAY * self._power + power
        before, self._source = self._source, self._choose()
        now = block[self._source]
        if before in (None, self._source):
            return now
        rise = np.linspace(0, 1, self._fade, dtype=np.float32)[: len(now)]
        was = block[before][: len(rise)]
        return np.concatenate([was + rise * (now - was)[: len(rise)], now[len(rise) :]])

    def _choose(self) -> int:
        """The row that stands for the sound from here on."""
        channels = self._power[-self._num_channels :]
        if self._weights is not None:
            # What the mix would have of channels that know nothing of each other.
            expected = float(self._weights**2 @ channels)
            # It may leave out a channel altogether, as that of the lowest tones.
            expected = max(expected, _QUIETEST * float(channels.max()))
            least = _LOST if self._source in (None, 0) else _KEPT
            if self._power[0] >= least * expected:
                return 0
        loudest = len(self._power) - len(channels) + int(channels.argmax())
        if self._source is None or (self._weights is not None and self._source == 0):
            return loudest
        if self._power[loudest] > _LOUDER * self._power[self._source]:
            return loudest
        return self._source


def _samples(resampler: av.AudioResampler, frame: av.AudioFrame | None) -> np.ndarray:
    """What a frame becomes, float32 `[channels, samples]`."""
    pieces = [
        piece.to_ndarray().reshape(-1, piece.layout.nb_channels)
        for piece in resampler.resample(frame)
    ]
    channels = resampler.layout.nb_channels
    return np.concatenate([np.zeros((0, channels), np.float32), *pieces]).T


def _mix_weights(frame: av.AudioFrame) -> np.ndarray | None:
    """Of each channel in FFmpeg's mix, None where it cannot mix them."""
    count, rate = frame.layout.nb_channels, frame.sample_rate
    try:
        # Half of full scale, which every format holds exactly.
        halves = 0.5 * np.eye(count, dtype=np.float32).reshape(1, -1)
        one_each = av.AudioFrame.from_ndarray(halves, "flt", frame.layout.name)
        one_each.sample_rate, one_each.time_base = rate, Fraction(1, rate)
        # The format decides whether the weights are brought below 1 in all.
        to_format = av.AudioResampler(frame.format, frame.layout, rate)
        as_stored = [*to_format.resample(one_each), *to_format.resample(None)]
        mix = av.AudioResampler("flt", "mono", rate)
        pieces = [_samples(mix, f)[0] for f in [*as_stored, None]]
    except (av.FFmpegError, ValueError):
        return None
    weights = 2 * np.concatenate(pieces).astype(np.float64)
    return weights if len(weights) == count else None
