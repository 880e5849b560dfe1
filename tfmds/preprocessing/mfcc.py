"""Mel cepstra of the voice, with the numbers of the paper (section 3.1)."""

import functools

import numpy as np

from tfmds import spec

_NUM_FFT = 2048
_NUM_FILTERS = 26
_PREEMPHASIS = 0.97
_LIFTER = 22
# The original reads 16 bit samples: the log energy has their scale.
_FULL_SCALE = 32_768


def mfcc(
    samples: np.ndarray,
    chunk_spec: spec.ChunkSpec,
    previous: float | None = None,
    num_frames: int | None = None,
) -> np.ndarray:
    """Computes the MFCC as python_speech_features does with `nfft=2048`.

    A long sound can be computed in pieces: each begins at a multiple of the hop
    and is given the sample before it.

    Args:
      samples: Mono sound from -1 to 1, `[n]`.
      chunk_spec: Sample rate, hop, window and number of coefficients.
      previous: The sample before the first, None at the start of the sound.
      num_frames: Frames wanted; by default as many as begin before the last
        window is full. Windows that reach beyond the samples are filled with zeros.

    Returns:
      float32 `[num_frames, num_coefficients]`: log energy, then cepstra 1 to 12.
    """
    window, hop = chunk_spec.mfcc_window, chunk_spec.mfcc_hop
    if num_frames is None:
        num_frames = 1 + max(0, -(-(len(samples) - window) // hop))
    signal = np.asarray(samples, np.float64) * _FULL_SCALE
    before = 0.0 if previous is None else previous * _FULL_SCALE
    signal = signal - _PREEMPHASIS * np.r_[before, signal[:-1]]
    length = (num_frames - 1) * hop + window
    signal = np.pad(signal[:length], (0, max(0, length - len(signal))))
    frames = np.lib.stride_tricks.sliding_window_view(signal, window)[::hop]
    power = np.abs(np.fft.rfft(frames, _NUM_FFT)) ** 2 / _NUM_FFT
    # Not a matrix product, whose sums would depend on the number of threads.
    mel = np.einsum("fk,mk->fm", power, _mel_filters(chunk_spec.sample_rate))
    cosines = _cosines(chunk_spec.num_coefficients)
    cepstra = np.einsum("fm,cm->fc", _log(mel), cosines)
    n = np.arange(chunk_spec.num_coefficients)
    cepstra = cepstra * (1 + _LIFTER / 2 * np.sin(np.pi * n / _LIFTER))
    # The original puts the log energy of the whole spectrum first.
    cepstra[:, 0] = _log(power.sum(axis=1))
    return cepstra.astype(np.float32)


def _log(power: np.ndarray) -> np.ndarray:
    # The original lifts exact zeros only.
    return np.log(np.where(power == 0, np.finfo(np.float64).eps, power))


@functools.cache
def _mel_filters(sample_rate: int) -> np.ndarray:
    """Triangles `[filters, bins]` with their corners on whole bins."""
    # Evenly on the mel scale of HTK.
    highest = 2595 * np.log10(1 + sample_rate / 2 / 700)
    mels = np.linspace(0, highest, _NUM_FILTERS + 2)
    corners = 700 * (10 ** (mels / 2595) - 1)
    bins = np.floor((_NUM_FFT + 1) * corners / sample_rate)
    low, middle, high = (x[:, None] for x in (bins[:-2], bins[1:-1], bins[2:]))
    k = np.arange(_NUM_FFT // 2 + 1)
    rising = (k - low) / np.maximum(middle - low, 1)
    falling = (high - k) / np.maximum(high - middle, 1)
    return np.where((low <= k) & (k < middle), rising, 0) + np.where(
        (middle <= k) & (k < high), falling, 0
    )


@functools.cache
def _cosines(num_coefficients: int) -> np.ndarray:
    """The orthonormal cosine transform (DCT-II) `[coefficients, filters]`."""
    n, m = np.arange(num_coefficients)[:, None], np.arange(_NUM_FILTERS)
    cosines = np.cos(np.pi * n * (m + 0.5) / _NUM_FILTERS)
    return cosines * np.sqrt(np.where(n == 0, 1, 2) / _NUM_FILTERS)
