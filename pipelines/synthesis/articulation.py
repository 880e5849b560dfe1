"""What a speaker's mouth does over time: the one source of picture and sound."""

import dataclasses

import numpy as np

# Control points a second; the voice and the drawing both read between them.
RATE = 500

# Openings and widths of vowels are dealt like cards, so that every stretch of about a
# second holds the same mixture: what a second holds must not tell which sound belongs
# to it, only the order in time may.
_OPENINGS = (0.5, 0.68, 0.84, 1.0)
_WIDTHS = (0.08, 0.4, 0.72, 0.95)

# Lips stay shut for m, b and p and nearly so for the others.
_CONSONANTS = ("m", "b", "p", "m", "s", "d")
_CLOSURE = {"m": 0.0, "b": 0.0, "p": 0.0, "s": 0.14, "d": 0.2}


@dataclasses.dataclass(frozen=True)
class Articulation:
    """Tracks of one stretch of speech, float64 `[seconds * RATE]`, all in 0..1.

    Attributes:
      opening: How far the lips are apart.
      width: From rounded (0) to spread (1).
      voicing: Loudness of the vocal folds as heard through the open mouth.
      murmur: Loudness of the nose while the lips are shut.
      hiss: Loudness of noise made at teeth and lips.
    """

    opening: np.ndarray
    width: np.ndarray
    voicing: np.ndarray
    murmur: np.ndarray
    hiss: np.ndarray

    def at(self, name: str, times: np.ndarray) -> np.ndarray:
        """The track `name` at `times` in seconds."""
        track = getattr(self, name)
        return np.interp(times * RATE, np.arange(len(track)), track)

    def blend(self, other: "Articulation", weight: np.ndarray) -> "Articulation":
        """Goes over to `other` where `weight` `[seconds * RATE]` is 1."""
        mixed = {
            f.name: (1 - weight) * getattr(self, f.name)
            + weight * getattr(other, f.name)
            for f in dataclasses.fields(self)
        }
        return Articulation(**mixed)

    def followed(self, delay: float, smoothing: float) -> "Articulation":
        """The lips as a tracker follows them: late and rounded off.

        Args:
          delay: Seconds that they come late.
          smoothing: Seconds over which they are averaged.
        """
        steps = round(delay * RATE)
        late = {
            name: np.pad(
                _smooth(getattr(self, name), smoothing / 2), (steps, 0), "edge"
            )
            for name in ("opening", "width")
        }
        count = len(self.opening)
        return dataclasses.replace(
            self, **{name: track[:count] for name, track in late.items()}
        )


def speak(rng: np.random.Generator, seconds: float) -> Articulation:
    """Babbles syllables without long pauses, 3 to 5 a second.

    Within a syllable all times are shares of its length, so that a frozen frame does
    not tell how fast somebody speaks.
    """
    tempo = rng.uniform(3.4, 4.6)
    count = int(seconds * 6) + 6
    lengths = np.clip(rng.normal(1, 0.22, count), 0.62, 1.5) / tempo
    starts = np.cumsum(lengths) - lengths - rng.uniform(0, 1) * lengths[0]
    peaks = _deal(rng, _OPENINGS, count) + rng.uniform(-0.05, 0.0, count)
    widths = _deal(rng, _WIDTHS, count) + rng.uniform(-0.05, 0.05, count)
    consonants = _deal(rng, _CONSONANTS, count)
    shut = np.array([_CLOSURE[c] for c in consonants])

    times = np.arange(round(seconds * RATE)) / RATE
    keys = np.stack(
        [
            starts,
            starts + 0.26 * lengths,
            starts + 0.5 * lengths,
            starts + 0.74 * lengths,
        ]
    )
    opening = _ease(times, keys, np.stack([shut, shut, peaks, 0.92 * peaks]))
    width = _ease(times, keys[2:], np.stack([widths, widths]))

    inside = np.clip(np.searchsorted(starts, times, "right") - 1, 0, count - 1)
    phase = (times - starts[inside]) / lengths[inside]
    consonant = np.asarray(consonants)[inside]
    held = _smooth(((phase >= 0.02) & (phase < 0.28)).astype(float), 0.012)
    # The folds rest for p and s and go on for m, b and d.
    resting = _smooth(
        (np.isin(consonant, ("p", "s")) & (phase < 0.3)).astype(float), 0.015
    )
    burst = (np.isin(consonant, ("p", "b", "d"))) & (phase >= 0.26) & (phase < 0.34)
    hiss = 0.5 * _smooth((consonant == "s") * held, 0.01) + 0.35 * _smooth(
        burst.astype(float), 0.004
    )
    nasal = _smooth((consonant == "m") * held, 0.01)
    prevoiced = _smooth((consonant == "b") * held, 0.01)
    return Articulation(
        opening=opening,
        width=np.clip(width, 0, 1),
        voicing=np.clip(opening, 0, 1) ** 1.3 * (1 - resting),
        murmur=0.16 * nasal + 0.04 * prevoiced,
        hiss=hiss,
    )


def period_weight(
    seconds: float, periods: tuple[tuple[float, float], ...], fade: float = 0.06
) -> np.ndarray:
    """1 inside `periods`, 0 outside, over `[seconds * RATE]`, with soft edges."""
    times = np.arange(round(seconds * RATE)) / RATE
    weight = np.zeros_like(times)
    for start, end in periods:
        weight[(times >= start) & (times < end)] = 1
    return _smooth(weight, fade / 2)


def _deal(rng: np.random.Generator, deck: tuple, count: int) -> np.ndarray:
    rounds = [rng.permutation(np.asarray(deck)) for _ in range(count // len(deck) + 1)]
    return np.concatenate(rounds)[:count]


def _ease(times: np.ndarray, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Smooth steps from key to key; both `[keys per syllable, syllables]`."""
    keys, values = keys.T.ravel(), values.T.ravel()
    left = np.clip(np.searchsorted(keys, times, "right") - 1, 0, len(keys) - 2)
    share = np.clip((times - keys[left]) / (keys[left + 1] - keys[left]), 0, 1)
    share = share * share * (3 - 2 * share)
    return values[left] + share * (values[left + 1] - values[left])


def _smooth(track: np.ndarray, seconds: float) -> np.ndarray:
    """Running mean over `2 * seconds`, of the same length."""
    half = max(1, round(seconds * RATE))
    padded = np.pad(track, half, mode="edge")
    return np.convolve(padded, np.ones(2 * half + 1) / (2 * half + 1), "valid")
