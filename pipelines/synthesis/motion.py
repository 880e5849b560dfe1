"""How a head moves while it speaks: sway, turns, blinks, gaze. Never with the voice."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Motion:
    """Tracks over the frames of a clip, each float64 `[frames]`.

    Attributes:
      x: Shift to the right, in face units.
      y: Shift down, in face units.
      roll: Tilt in radians.
      yaw: Turn to the side, -1 to 1.
      pitch: Nod, -1 to 1.
      eyes: Opening of the eyes, 0 to 1.
      gaze_x: Where the eyes look, -1 to 1.
      gaze_y: Likewise, down.
      brows: Lift of the brows, 0 to 1.
    """

    x: np.ndarray
    y: np.ndarray
    roll: np.ndarray
    yaw: np.ndarray
    pitch: np.ndarray
    eyes: np.ndarray
    gaze_x: np.ndarray
    gaze_y: np.ndarray
    brows: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, times: np.ndarray) -> "Motion":
        """Motion at the display `times` (seconds) of a clip's frames."""
        liveliness = rng.uniform(0.35, 1.0)
        return cls(
            x=0.10 * liveliness * _wander(rng, times, 0.5),
            y=0.05 * liveliness * _wander(rng, times, 0.6),
            roll=0.09 * liveliness * _wander(rng, times, 0.5) + rng.normal(0, 0.03),
            yaw=0.6 * liveliness * _wander(rng, times, 0.4) + rng.normal(0, 0.25),
            pitch=0.5 * liveliness * _wander(rng, times, 0.6) + rng.normal(0, 0.15),
            eyes=_blinks(rng, times),
            gaze_x=_jumps(rng, times),
            gaze_y=0.5 * _jumps(rng, times),
            brows=np.clip(0.5 + 0.5 * _wander(rng, times, 0.7), 0, 1),
        )


def _wander(rng: np.random.Generator, times: np.ndarray, rate: float) -> np.ndarray:
    track = np.zeros_like(times)
    for _ in range(3):
        speed, phase = rng.uniform(0.2, 1.6) * rate, rng.uniform(0, 2 * np.pi)
        track += rng.uniform(0.2, 0.5) * np.sin(2 * np.pi * speed * times + phase)
    return track


def _blinks(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    eyes = np.full_like(times, rng.uniform(0.8, 1.0))
    blink = rng.uniform(0, 3)
    while blink < times[-1] + 0.2:
        eyes *= 1 - np.exp(-(((times - blink) / 0.06) ** 4))
        blink += rng.uniform(0.8, 4)
    return eyes


def _jumps(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    when = np.sort(rng.uniform(0, times[-1] + 1e-6, max(1, round(times[-1]))))
    where = rng.normal(0, 0.3, len(when) + 1)
    return np.clip(where[np.searchsorted(when, times)], -0.9, 0.9)
