"""Which clips a demo data set has, and how one of them is made.

A real clip is a shot of a person. A forged clip is a shot of a person too, the same as
its original's, with one thing forged and filmed (noise, codec) anew. So nothing but
the forgery separates them: both go through one generation of the same codecs, at a
quality drawn without regard to the label.

People are numbers; whoever lends a face or a voice to a forgery is drawn for that clip
alone and is in no other. The group of the person shown therefore keeps everybody on
one side of a split.
"""

import dataclasses
import fractions
import os
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from scipy import signal

from pipelines.synthesis import articulation as articulation_lib
from pipelines.synthesis import encoding, manipulations, scene, voice
from pipelines.synthesis.articulation import Articulation
from pipelines.synthesis.config import SynthesisConfig
from pipelines.synthesis.distractors import Distractors
from pipelines.synthesis.face import Face, draw_face
from pipelines.synthesis.head import Expression, Head

# What a random stream is for; keeps the streams of one seed apart.
_PERSON, _SHOT, _TAKE, _NAME, _DONOR, _DISTRACTORS = range(6)

_RATES = (
    fractions.Fraction(25),
    fractions.Fraction(30),
    fractions.Fraction(30_000, 1_001),
)
_ASPECTS = (16 / 9, 16 / 9, 16 / 9, 4 / 3)

# One forgery in so many is of a part of the clip only.
_PARTIAL_EVERY = 4


@dataclasses.dataclass(frozen=True)
class Clip:
    """One video to be made."""

    name: str
    identity: int
    # Number among the identity's clips.
    number: int
    # Number of the shot it shows.
    shot: int
    original: str = ""
    manipulation: str = ""
    fake_periods: tuple[tuple[float, float], ...] = ()
    has_distractors: bool = False

    def metadata(self) -> dict:
        """The clip's entry in DFDC's metadata.json, with fields of our own."""
        entry: dict[str, Any] = {
            "label": "FAKE" if self.manipulation else "REAL",
            "split": "train",
            "identity": f"person_{self.identity:04d}",
        }
        if self.manipulation:
            entry["original"] = self.original
            entry["manipulation"] = self.manipulation
            entry["forged"] = manipulations.FORGED[self.manipulation]
            entry["fake_periods"] = [list(p) for p in self.fake_periods]
        if self.has_distractors:
            entry["distractors"] = True
        return entry


@dataclasses.dataclass(frozen=True)
class _Shot:
    """What a clip and its forgeries have in common."""

    rate: fractions.Fraction
    size: tuple[int, int]
    times: np.ndarray
    seconds: float
    speech: Articulation
    gain: np.ndarray
    scene: scene.Scene


def plan(settings: SynthesisConfig) -> list[Clip]:
    """All clips of a data set, those of one identity together."""
    clips = []
    for identity in range(settings.num_identities):
        reals = [
            Clip(_name(settings, identity, number), identity, number, number)
            for number in range(settings.reals_per_identity)
        ]
        clips += reals
        kinds = manipulations.MANIPULATIONS * settings.fakes_per_manipulation
        for k, kind in enumerate(kinds):
            number = len(reals) + k
            # Over all identities each shot is forged in each way.
            shot = (k + identity) % len(reals)
            rng = _rng(settings, _TAKE, identity, number, 1)
            periods: tuple[tuple[float, float], ...] = ()
            if (identity + k) % _PARTIAL_EVERY == 0:
                periods = (_draw_period(rng, settings.seconds),)
            clips.append(
                Clip(
                    _name(settings, identity, number),
                    identity,
                    number,
                    shot,
                    reals[shot].name,
                    kind,
                    periods,
                )
            )
    return [
        dataclasses.replace(
            clip,
            has_distractors=_distracted(settings, clip).uniform()
            < settings.distractors,
        )
        for clip in clips
    ]


def _distracted(settings: SynthesisConfig, clip: Clip) -> np.random.Generator:
    return _rng(settings, _DISTRACTORS, clip.identity, clip.number)


def make(settings: SynthesisConfig, clip: Clip, path: os.PathLike | str) -> None:
    """Draws, speaks and encodes one clip."""
    person = _rng(settings, _PERSON, clip.identity)
    face, own_voice = draw_face(person), voice.draw_voice(person)
    shot = _draw_shot(settings, clip, face)
    take = _rng(settings, _TAKE, clip.identity, clip.number)
    donor = _rng(settings, _DONOR, clip.identity, clip.number)
    weight = np.ones(len(shot.speech.opening))
    if clip.fake_periods:
        weight = articulation_lib.period_weight(shot.seconds, clip.fake_periods)
    other = articulation_lib.speak(donor, shot.seconds)

    heard, speaker = shot.speech, own_voice
    if clip.manipulation == manipulations.AUDIO_SWAP:
        heard = shot.speech.blend(other, weight)
        # A part is forged in the speaker's own voice, as by cloning: the change of
        # voices in the middle would give itself away without a look at the mouth.
        if not clip.fake_periods:
            speaker = voice.draw_voice(donor)
    sound = _record(
        voice.synthesize(speaker, heard, shot.seconds, take), shot.seconds, take
    )
    pictures, size = _film(clip, shot, face, other, weight, donor, take), shot.size
    if clip.has_distractors:
        # A stream of their own: the clip below them is the same without.
        rng = _distracted(settings, clip)
        distractors = Distractors(rng, size, len(shot.times))
        size = distractors.size
        pictures = (distractors.put_on(p, i) for i, p in enumerate(pictures))
    encoding.write_mp4(
        path,
        pictures,
        shot.rate,
        size,
        sound,
        crf=int(take.integers(19, 30)),
        sound_bit_rate=int(take.choice([64_000, 96_000, 128_000])),
    )


def _film(
    clip: Clip,
    shot: _Shot,
    face: Face,
    other: Articulation,
    weight: np.ndarray,
    donor: np.random.Generator,
    take: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Yields the pictures of a clip."""
    unit = scene.OVERSAMPLING * shot.scene.unit
    head = Head(face, shot.scene.light, unit)
    camera = scene.Camera(take, shot.size)
    count = len(shot.times)
    weights = np.interp(
        shot.times * articulation_lib.RATE, np.arange(len(weight)), weight
    )
    painter: manipulations.FaceSwap | manipulations.LipSync | None = None
    shown = shot.speech
    if clip.manipulation == manipulations.FACE_SWAP:
        other_head = Head(draw_face(donor), shot.scene.light, unit)
        swap = manipulations.FaceSwap(donor, head, other_head, count)
        painter, shown = swap, swap.speech(shot.speech)
    elif clip.manipulation == manipulations.LIP_SYNC:
        painter, shown = manipulations.LipSync(donor, head, count), other
    own = _expressions(shot, shot.speech)
    forged = _expressions(shot, shown)
    for frame in range(count):
        image = head.draw(own[frame])
        opening = own[frame].opening
        if painter is not None and weights[frame] > 0.01:
            image = painter.paint(image, forged[frame], frame, weights[frame])
            opening += weights[frame] * (forged[frame].opening - opening)
        head.put_on(image)
        yield camera.expose(shot.scene.film(head, image, opening, frame))


def _expressions(shot: _Shot, speech: Articulation) -> list[Expression]:
    motion = shot.scene.motion
    opening = np.clip(speech.at("opening", shot.times) * shot.gain, 0, 1.1)
    width = speech.at("width", shot.times)
    return [
        Expression(*(float(v) for v in values))
        for values in zip(
            opening,
            width,
            motion.eyes,
            motion.gaze_x,
            motion.gaze_y,
            motion.brows,
            strict=True,
        )
    ]


def _record(sound: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A voice in a room, through a microphone, at a level of its own."""
    rate = voice.SAMPLE_RATE
    times = np.arange(len(sound)) / rate
    # Loudness wanders without regard to the mouth, so that a loud second is no sign
    # of an open one.
    speed, phase = rng.uniform(0.15, 0.6), rng.uniform(0, 2 * np.pi)
    decibels = rng.uniform(1.5, 3.5) * np.sin(2 * np.pi * speed * times + phase)
    sound = sound * 10 ** (decibels / 20)
    decay = rng.uniform(0.02, 0.07)
    tail = np.arange(round(5 * decay * rate)) / rate
    echo = rng.standard_normal(len(tail)) * np.exp(-tail / decay)
    echo *= rng.uniform(0.05, 0.25) / np.sqrt(np.sum(echo**2))
    sound = sound + signal.fftconvolve(sound, echo)[: len(sound)]
    sound /= np.sqrt(np.mean(sound**2))
    noise = signal.lfilter(
        [1], [1, -rng.uniform(0.5, 0.95)], rng.normal(size=len(sound))
    )
    noise *= 10 ** (-rng.uniform(26, 40) / 20) / np.std(noise)
    hum = np.sin(2 * np.pi * rng.choice([50, 60]) * times) * 10 ** (
        -rng.uniform(36, 50) / 20
    )
    return (sound + noise + hum) * 10 ** (-rng.uniform(19, 25) / 20)


def _draw_shot(settings: SynthesisConfig, clip: Clip, face: Face) -> _Shot:
    rng = _rng(settings, _SHOT, clip.identity, clip.shot)
    rate = _RATES[rng.integers(len(_RATES))]
    width = round(settings.height * _ASPECTS[rng.integers(len(_ASPECTS))] / 2) * 2
    size = (width, settings.height // 2 * 2)
    count = round((settings.seconds + rng.uniform(0.1, 0.5)) * rate)
    times = np.arange(count) / float(rate)
    seconds = count / float(rate)
    drift = np.sin(2 * np.pi * rng.uniform(0.15, 0.6) * times + rng.uniform(0, 6.3))
    return _Shot(
        rate=rate,
        size=size,
        times=times,
        seconds=seconds,
        speech=articulation_lib.speak(rng, seconds),
        gain=rng.uniform(0.8, 1.05) * (1 + 0.07 * drift),
        scene=scene.Scene(rng, face, size, times),
    )


def _draw_period(rng: np.random.Generator, seconds: float) -> tuple[float, float]:
    length = max(min(1.5, seconds), rng.uniform(0.35, 0.6) * seconds)
    start = rng.uniform(0, seconds - length)
    return round(float(start), 2), round(float(start + length), 2)


def _name(settings: SynthesisConfig, identity: int, number: int) -> str:
    letters = _rng(settings, _NAME, identity, number).integers(
        ord("a"), ord("z") + 1, 10
    )
    return "".join(map(chr, letters)) + ".mp4"


def _rng(settings: SynthesisConfig, *stream: int) -> np.random.Generator:
    return np.random.default_rng([settings.seed, *stream])


def use_one_thread() -> None:
    """Keeps OpenCV to one core where several clips are made at once."""
    cv2.setNumThreads(1)
