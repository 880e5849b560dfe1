"""A voice: pulses and noise, shaped by resonances that follow the mouth."""

import dataclasses

import numpy as np
from scipy import signal

from pipelines.synthesis.articulation import Articulation

SAMPLE_RATE = 48_000

_WINDOW = 1024
_HOP = 256


@dataclasses.dataclass(frozen=True)
class Voice:
    """What makes a speaker sound like himself; drawn apart from every face."""

    # Mean pitch in Hz.
    pitch: float
    # How lively the pitch moves, in octaves.
    liveliness: float
    # Resonances of a long (< 1) or a short vocal tract.
    formant_scale: float
    # Share of noise in the pulses.
    breathiness: float
    # Fall of the spectrum in dB an octave, beyond that of the pulses.
    tilt: float
    # How much louder an open mouth is than a half open one, as an exponent.
    dynamics: float


def draw_voice(rng: np.random.Generator) -> Voice:
    """A speaker's voice."""
    pitch = float(np.exp(rng.uniform(np.log(85), np.log(250))))
    return Voice(
        pitch=pitch,
        liveliness=rng.uniform(0.08, 0.3),
        # High voices tend to come from short tracts.
        formant_scale=0.9 + 0.25 * (pitch - 85) / 165 + rng.uniform(-0.06, 0.06),
        breathiness=rng.uniform(0.02, 0.25),
        tilt=rng.uniform(-4, 0),
        dynamics=rng.uniform(0.6, 1.6),
    )


def synthesize(
    voice: Voice, articulation: Articulation, seconds: float, rng: np.random.Generator
) -> np.ndarray:
    """The sound of `articulation` in `voice`: float64 `[seconds * 48000]`, RMS 1."""
    count = round(seconds * SAMPLE_RATE)
    times = np.arange(count) / SAMPLE_RATE
    noise = rng.standard_normal(count)
    pulses = _pulses(_pitch(voice, times, rng))
    source = pulses + voice.breathiness * noise * (0.5 + np.maximum(pulses, 0))

    voicing = articulation.at("voicing", times) ** voice.dynamics
    murmur = articulation.at("murmur", times)
    hiss = articulation.at("hiss", times)
    frames = np.arange(0, count + _WINDOW, _HOP) / SAMPLE_RATE
    opening = articulation.at("opening", frames)
    width = articulation.at("width", frames)

    scale = voice.formant_scale
    vowel = _filter(
        source * voicing,
        [
            (scale * (280 + 520 * opening), 80),
            (scale * (850 + 1400 * width - 150 * opening), 110),
            (scale * (2450 + 350 * width), 170),
            (scale * 3500 * np.ones_like(opening), 250),
        ],
        voice.tilt,
    )
    flat = np.ones_like(opening)
    nasal = _filter(source * murmur, [(scale * 250 * flat, 60)], -10)
    teeth = _filter(noise * hiss, [(5200 * flat, 2500), (7600 * flat, 3000)], 0)
    sound = vowel / _rms(vowel) + 0.9 * nasal / _rms(source) + 0.25 * teeth
    sound = signal.sosfilt(
        signal.butter(2, 60, "highpass", fs=SAMPLE_RATE, output="sos"), sound
    )
    return sound / _rms(sound)


def _pitch(voice: Voice, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pitch in Hz, wandering without regard to the syllables."""
    octaves = np.zeros_like(times)
    for _ in range(4):
        rate, phase = rng.uniform(0.3, 2.5), rng.uniform(0, 2 * np.pi)
        octaves += np.sin(2 * np.pi * rate * times + phase) / 2
    jitter = np.interp(
        times, np.arange(0, times[-1] + 0.02, 0.01), rng.normal(0, 0.008, _len(times))
    )
    return voice.pitch * 2 ** (voice.liveliness * octaves + jitter)


def _len(times: np.ndarray) -> int:
    return len(np.arange(0, times[-1] + 0.02, 0.01))


def _pulses(pitch: np.ndarray) -> np.ndarray:
    """Derivative of a glottal flow that opens slowly and shuts at once."""
    phase = np.cumsum(pitch / SAMPLE_RATE) % 1.0
    opening = np.sin(np.pi * phase / 0.45) * (phase < 0.45)
    closing = -3.0 * np.exp(-(((phase - 0.52) / 0.05) ** 2))
    return opening * 0.6 + closing


def _filter(
    source: np.ndarray, formants: list[tuple[np.ndarray, float]], tilt: float
) -> np.ndarray:
    """Shapes each short window of `source` by its resonances, without phase."""
    _, _, spectrum = signal.stft(
        source, SAMPLE_RATE, nperseg=_WINDOW, noverlap=_WINDOW - _HOP
    )
    frequency = np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE)[:, np.newaxis]
    gain = 10 ** (tilt * np.log2(np.maximum(frequency, 200) / 200) / 20)
    for centre, bandwidth in formants:
        centre = centre[np.newaxis, : spectrum.shape[1]]
        gain = (
            gain
            * centre**2
            / np.sqrt((centre**2 - frequency**2) ** 2 + (bandwidth * frequency) ** 2)
        )
    _, shaped = signal.istft(
        spectrum * gain, SAMPLE_RATE, nperseg=_WINDOW, noverlap=_WINDOW - _HOP
    )
    return shaped[: len(source)]


def _rms(sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean(sound**2))) + 1e-9
