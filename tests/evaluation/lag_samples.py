"""Made-up tracks whose offset is known."""

import numpy as np

from tfmds.evaluation import lag_evidence
from tfmds.evaluation.lag_evidence import Evidence
from tfmds.spec import MOUTH_HOP, VOICE_HOP


def embeddings(
    seconds: float, seed: int, hop: float = VOICE_HOP
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and embeddings of chunks that overlap, as those of a second do."""
    width = round(0.5 / hop)
    count = round((seconds - 1) / hop) + 1
    noise = np.random.default_rng(seed).normal(size=(count + width - 1, 32))
    smooth = np.stack([noise[i : i + width].sum(axis=0) for i in range(count)])
    unit = smooth / np.linalg.norm(smooth, axis=1, keepdims=True)
    return np.arange(count) * hop, unit


def record(
    seconds: float,
    offset: float | None,
    seed: int = 0,
    fit: float = 0.5,
    drift: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and distances by lag of a track whose sound is late by the offset.

    None: the voice is somebody else's. With a drift it gets so much later a second.
    """
    times, voice = embeddings(seconds, seed)
    _, mouth = embeddings(seconds, seed + 10_000)
    if offset is not None:
        # What is heard at t + offset is seen at t.
        steps = np.round((offset + drift * times) / VOICE_HOP).astype(int)
        own = voice[np.clip(np.arange(len(voice)) + steps, 0, len(voice) - 1)]
        mouth = fit * own + (1 - fit) * mouth
    step = round(MOUTH_HOP / VOICE_HOP)
    starts = times[::step]
    return starts, lag_evidence.distances_by_lag(starts, mouth[::step], times, voice)


def evidence(
    seconds: float, offset: float | None, seed: int = 0, at: float = 0.0, track: int = 0
) -> list[Evidence]:
    """Of a face that speaks `offset` seconds late, or with another's voice (None)."""
    starts, distances = record(seconds, offset, seed)
    return lag_evidence.sum_up(starts + at, distances, track)


def spliced(*parts: tuple[float, float | None]) -> list[Evidence]:
    """Parts of one face in order of time, each as seconds and offset."""
    found, at = [], 0.0
    for seed, (seconds, offset) in enumerate(parts):
        found += evidence(seconds, offset, seed, at)
        at += seconds
    return found
