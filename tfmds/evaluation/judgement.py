"""Judgement of one video: from chunk distances to a verdict and suspicious seconds."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tfmds import spec
from tfmds.data.manifest import Period
from tfmds.evaluation import alignment, scores
from tfmds.evaluation.alignment import Alignment, Evidence, VideoAlignment
from tfmds.evaluation.thresholds import Threshold

# What is said of a video.
REAL_VERDICT = "real"
FAKE_VERDICT = "fake"
# Mouth and voice fit, but not at the same time.
OUT_OF_STEP = "out_of_step"
CANNOT_TELL = "cannot_tell"
VERDICTS = (REAL_VERDICT, FAKE_VERDICT, OUT_OF_STEP, CANNOT_TELL)
# What people call what the streams see and hear.
STREAM_WORDS = {"visual": "picture", "audio": "voice"}

# Without a threshold of the aligned score: what chance hardly reaches.
_FITS = -2.0
# Offsets below this are none, in seconds.
_AUDIBLE = 0.04
# Below this `mouth_motion` a face is a picture on the wall. Of 100 people who speak
# nobody is below 0.8, listeners go down to 0.65, still pictures up to 0.1.
_STILL = 0.5
# Chunks that are taken together where it is asked whether a moment fits.
_MOMENT_SECONDS = 3.0


@dataclasses.dataclass(frozen=True)
class JudgedChunk:
    """One scored chunk of a video.

    Attributes:
      track: Number of the track in its video.
      start_seconds: On the video's clock.
      distance: Between the embeddings of picture and sound.
      face_jpeg: A face crop of the chunk to show, some 96 px a side; may be empty.
      box: Where the face is in the picture in the mean, in pixels (left, top, right,
        bottom); may be empty.
      offset_distance: Distance of the mouth to the voice at the video's own offset;
        None where that is not known.
      mismatch_distance: Mean distance of the mouth to its mismatches, see `alignment`.
      mouth_motion: Mean change of the lower face from picture to picture, in grey
        levels of 255; None where it was not measured.
      heads: By stream, the probability of fake that its head gives; those asked for.
    """

    track: int
    start_seconds: float
    distance: float
    face_jpeg: bytes = b""
    box: tuple[float, ...] = ()
    offset_distance: float | None = None
    mismatch_distance: float | None = None
    mouth_motion: float | None = None
    heads: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def face_size(self) -> float:
        """Side of a square as large as the box, in pixels; 0 without a box."""
        if not self.box:
            return 0.0
        left, top, right, bottom = self.box
        return float(np.sqrt((right - left) * (bottom - top)))


@dataclasses.dataclass(frozen=True)
class SkippedTrack:
    """A face that was seen and not scored.

    Attributes:
      start_seconds: When it appears.
      end_seconds: When it is gone.
      reason: Why it was not scored, as a reader would say it.
    """

    start_seconds: float
    end_seconds: float
    reason: str


@dataclasses.dataclass(frozen=True)
class VideoJudgement:
    """What is said about one video.

    Attributes:
      path: The video's file, as the user named it.
      status: `ok` where the video was scored.
      threshold: Where a video is called fake, and where that comes from.
      reason: Why the status is not `ok`; where it is, what else is to be known.
      chunks: The scored chunks, none where the status is not `ok`.
      seconds_total: Length of the video, None where it is not known.
      skipped_tracks: Faces that were not scored.
      unread: Stretches of the file without picture or sound to look at, as start and
        end in seconds and why.
      model_id: Which model made the distances.
      chunk_seconds: Length of a chunk.
      evidence: What was measured at other lags, none where the model gives none.
      told_streams: Streams that the model was trained to tell forged from own.
    """

    path: str
    status: str
    threshold: Threshold
    reason: str = ""
    chunks: tuple[JudgedChunk, ...] = ()
    seconds_total: float | None = None
    skipped_tracks: tuple[SkippedTrack, ...] = ()
    unread: tuple[tuple[float, float, str], ...] = ()
    model_id: str = ""
    chunk_seconds: float = 1.0
    evidence: tuple[Evidence, ...] = ()
    told_streams: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.status == spec.OK) != bool(self.chunks):
            raise ValueError(
                f"{self.path}: the status is {self.status} and there are"
                f" {len(self.chunks)} chunks; a video has chunks where it is ok, and"
                " only there"
            )

    @property
    def mds(self) -> float | None:
        """Mean distance of all chunks, None where there are none."""
        if not self.chunks:
            return None
        return float(scores.mds([chunk.distance for chunk in self.chunks])[0])

    @functools.cached_property
    def alignment(self) -> VideoAlignment:
        """Where and how well the voice fits the speaker, and each face.

        A face whose mouth does not move is nobody's while others move theirs.
        """
        moving = [s for s in self.evidence if s.track in self._moving]
        return alignment.align_video(moving or self.evidence)

    @functools.cached_property
    def _moving(self) -> set[int]:
        """Tracks whose mouths move, as far as that was measured."""
        found = set()
        for track in self.tracks:
            motions = [c.mouth_motion for c in self.chunks if c.track == track]
            known = [m for m in motions if m is not None]
            if not known or np.median(known) >= _STILL:
                found.add(track)
        return found

    @property
    def whole(self) -> Alignment:
        """The alignment of the video's speaker."""
        return self.alignment.whole

    @property
    def score(self) -> str:
        """What the video is judged by, one of `scores.SCORES`: as its threshold."""
        return self.threshold.score

    @functools.cached_property
    def values(self) -> dict[str, float]:
        """The scores of the video by name, of `scores.SCORES`; those there are."""
        found = {scores.MDS: self.mds, scores.ALIGNED: self.whole.aligned}
        for stream in spec.STREAMS:
            said = [c.heads[stream] for c in self.chunks if stream in c.heads]
            found[stream] = float(scores.mds(said)[0]) if said else None
        known = {name: value for name, value in found.items() if value is not None}
        fusion = self.threshold.fusion
        if fusion is not None and {*fusion.names} <= {*known}:
            arrays = {name: np.asarray(value) for name, value in known.items()}
            known[scores.FUSED] = float(fusion(arrays))
        return known

    @property
    def value(self) -> float | None:
        """The score that the video is judged by, None where there is none."""
        return self.values.get(self.score)

    @property
    def looks_forged(self) -> dict[str, bool]:
        """Whether a stream looks forged by itself, by its name.

        Of the streams that the model was trained to tell, and whose head has a
        threshold (`Threshold.heads`); of others nothing is claimed.
        """
        heads = self.threshold.heads
        return {
            stream: self.values[stream] >= heads[stream].value
            for stream in self.told_streams
            if stream in heads and stream in self.values
        }

    @property
    def streams_in_words(self) -> str:
        """The same as a sentence, empty where nothing is claimed."""
        said = self.looks_forged
        forged = [STREAM_WORDS[stream] for stream, is_so in said.items() if is_so]
        own = [STREAM_WORDS[stream] for stream, is_so in said.items() if not is_so]
        if len(forged) == len(STREAM_WORDS):
            return "By themselves, picture and voice both look forged."
        if len(own) == len(STREAM_WORDS):
            return "By themselves, neither picture nor voice looks forged."
        sentence = "; ".join(
            [f"the {word} looks forged" for word in forged]
            + [f"the {word} does not{'' if forged else ' look forged'}" for word in own]
            + [
                f"nothing is said of the {word}"
                for stream, word in STREAM_WORDS.items()
                if said and stream not in said
            ]
        )
        return f"By itself, {sentence}." if sentence else ""

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`.

        `fake` where the score reaches the threshold. By the aligned score such a video
        is `out_of_step` instead where its voice fits clearly, but farther from the
        usual offset than recordings are; and any is `cannot_tell` where there is too
        little of a mouth and its voice, or no mouth in view moves: what fits a picture
        fits it by chance. `cannot_tell` also where the status is not `ok`, or there is
        no such score.
        """
        if self.value is None:
            return CANNOT_TELL
        if self.score == scores.ALIGNED and not self._moving:
            return CANNOT_TELL
        if self.value < self.threshold.value:
            return REAL_VERDICT
        if self.score == scores.ALIGNED and self.whole.is_out_of_step:
            return OUT_OF_STEP
        return FAKE_VERDICT

    @property
    def explanation(self) -> str:
        """The verdict in words, and what the streams look like by themselves."""
        if self.status != spec.OK:
            return f"This video could not be judged: {self.reason or self.status}."
        said = (self._verdict_in_words, self.length_in_words, self.streams_in_words)
        return " ".join(filter(None, said))

    @property
    def _verdict_in_words(self) -> str:
        whole = self.whole
        if scores.ALIGNED in self.threshold.made_of and whole.aligned is None:
            return (
                f"Cannot tell: mouth and voice could be compared over"
                f" {whole.seconds:.1f} s, and at least {alignment.MIN_SECONDS:g} s are"
                " needed."
            )
        if self.value is None:
            return f"Cannot tell: there is no {scores.SCORES[self.score]}."
        if self.score != scores.ALIGNED:
            above = "at or above" if self.verdict == FAKE_VERDICT else "below"
            return (
                f"The {scores.SCORES[self.score]} is {self.value:.3f}, {above}"
                f" {self.threshold.value:.3f}."
            )
        if self.verdict == CANNOT_TELL:
            if self.skipped_tracks:
                return (
                    "Cannot tell: no mouth that was looked at moves; the voice is that"
                    " of a face that was left out, or comes from elsewhere."
                )
            return (
                "Cannot tell: no mouth in view moves, so that the voice comes from"
                " elsewhere."
            )
        step = step_in_words(whole)
        if self.verdict == OUT_OF_STEP:
            return f"{step}; once that is taken out, mouth and voice fit."
        if self.verdict == REAL_VERDICT:
            fit = f"Mouth and voice {'barely ' if self.is_borderline else ''}fit."
            return f"{fit} {step}." if step else fit
        mouth = "mouth that was looked at" if self.skipped_tracks else "mouth in view"
        return f"The voice fits no {mouth}, not at any offset that is usual."

    @property
    def seconds_compared(self) -> float:
        """What the score is of: seconds of a mouth with its voice."""
        if scores.ALIGNED in self.threshold.made_of:
            return self.whole.seconds
        return self.seconds_scored

    @property
    def is_short(self) -> bool:
        """Whether less was compared than of any video the threshold was chosen on.

        By a second or more: of a video only whole seconds are looked at.
        """
        shortest = self.threshold.shortest_seconds
        return shortest is not None and self.seconds_compared <= shortest - 1

    @property
    def length_in_words(self) -> str:
        """That so little was compared, as a sentence; empty where it is enough."""
        if self.verdict == CANNOT_TELL or not self.is_short:
            return ""
        return (
            f"Only {self.seconds_compared:.1f} s could be compared; the threshold was"
            f" chosen on videos of {self.threshold.shortest_seconds:g} s and more, and"
            " errs more often on shorter ones."
        )

    @property
    def fake_probability(self) -> float | None:
        """Calibrated; as if real and fake were equally likely beforehand.

        None where nothing can be told, the threshold has no calibration, or the video
        is shorter than those that this is of.
        """
        calibration = self.threshold.calibration
        if self.verdict == CANNOT_TELL or self.is_short or calibration is None:
            return None
        return float(calibration(np.asarray(self.value)))

    @property
    def shares(self) -> dict[str, float] | None:
        """How usual the score is among the videos that the threshold was chosen on.

        `real` is the share of the real ones whose score is at least as high, `fake`
        that of the fake ones whose score is at most as high; None where nothing can be
        told, the threshold does not remember them, or the video is shorter than they
        are.
        """
        quantiles = self.threshold.quantiles
        if self.value is None or self.verdict == CANNOT_TELL or self.is_short:
            return None
        if not all(quantiles.get(w) for w in ("real", "fake")):
            return None
        below = {
            word: float(np.interp(self.value, quantiles[word], np.linspace(0, 1, n)))
            for word in ("real", "fake")
            if (n := len(quantiles[word]))
        }
        return {"real": round(1 - below["real"], 4), "fake": round(below["fake"], 4)}

    @property
    def is_borderline(self) -> bool:
        """Whether the verdict might have been another one.

        Where other validation videos might have turned it, or its threshold, which may
        aim at few errors of one kind, says otherwise than the probability.
        """
        if self.value is None or self.verdict == CANNOT_TELL:
            return False
        interval = self.threshold.interval
        if interval is not None and interval[0] <= self.value <= interval[1]:
            return True
        return self.leans_elsewhere

    @property
    def leans_elsewhere(self) -> bool:
        """Whether the probability is on the other side of one half than the verdict."""
        probability = self.fake_probability
        if probability is None or self.verdict not in (REAL_VERDICT, FAKE_VERDICT):
            return False
        return (probability >= 0.5) != (self.verdict == FAKE_VERDICT)

    def speaks(self, track: int) -> bool | None:
        """Whether a face says what is heard.

        True where the voice fits its mouth while it is the best of all in view, False
        where all of its time the voice fits somebody else, None where it fits nobody.
        """
        return self._speakers.get(track)

    @functools.cached_property
    def _speakers(self) -> dict[int, bool]:
        fits = {
            track: self._fits(found) for track, found in self.alignment.spoken.items()
        }
        said = {track: True for track, does in fits.items() if does}
        for track in self.tracks:
            is_still = track not in self._moving
            if is_still or (track not in said and self._others_speak(track, said)):
                said[track] = False
        return said

    def _fits(self, found: Alignment) -> bool:
        if found.aligned is None:
            return False
        limit = self.threshold.value if self.score == scores.ALIGNED else _FITS
        return found.aligned < limit or found.offset_is_clear

    def _others_speak(self, track: int, speakers: Iterable[int]) -> bool:
        own = [s for s in self.evidence if s.track == track]
        turns = [t for t in self.alignment.turns if t.track in set(speakers)]
        return bool(own) and all(
            any(
                turn.start_seconds < s.end_seconds
                and s.start_seconds < turn.end_seconds
                for turn in turns
            )
            for s in own
        )

    @property
    def scored_periods(self) -> tuple[Period, ...]:
        """Stretches that were looked at, in seconds."""
        return self._periods(self.chunks)

    @property
    def unscored_periods(self) -> tuple[Period, ...]:
        """Stretches of the video that were not looked at, in seconds."""
        if self.seconds_total is None:
            return ()
        gaps, at = [], 0.0
        end = (self.seconds_total, self.seconds_total)
        for start, stop in (*self.scored_periods, end):
            if start - at > _ROUNDING:
                gaps.append((at, min(start, self.seconds_total)))
            at = max(at, stop)
        return tuple(gaps)

    @property
    def seconds_scored(self) -> float:
        """Seconds of the video that were looked at, however many faces there are."""
        return _length(self.scored_periods)

    @property
    def suspicious_periods(self) -> tuple[Period, ...]:
        """Stretches that do not fit, in seconds, see `is_suspicious`."""
        return self._periods(filter(self.is_suspicious, self.chunks))

    @property
    def fake_periods(self) -> tuple[Period, ...] | None:
        """Stretches that localization reports as forged, in seconds.

        None where nothing was localized: the threshold has no levels for it, or the
        video has no chunks.
        """
        if self.threshold.localizer is None or not self.chunks:
            return None
        return self.threshold.localizer.periods_of(
            [chunk.track for chunk in self.chunks],
            [chunk.start_seconds for chunk in self.chunks],
            [self.shown_distance(chunk) for chunk in self.chunks],
            self.chunk_seconds,
        )

    @property
    def seconds_suspicious(self) -> float:
        """Seconds of the video that do not fit."""
        return _length(self.suspicious_periods)

    @property
    def tracks(self) -> tuple[int, ...]:
        """Numbers of the scored tracks, ascending."""
        return tuple(sorted({chunk.track for chunk in self.chunks}))

    def shown_distance(self, chunk: JudgedChunk) -> float:
        """The distance that a timeline shows.

        Where the video is judged by the aligned score, that at its own offset; by the
        score of a head, its probability.
        """
        if self.score == scores.ALIGNED and chunk.offset_distance is not None:
            return chunk.offset_distance
        return chunk.heads.get(self.score, chunk.distance)

    @property
    def level(self) -> float | None:
        """What a timeline holds these distances against.

        By the MDS and by a head the threshold; by the aligned score the mean of all
        mismatches, that is how far apart mouth and voice of this video are where they
        do not belong together, None where these were not measured. None by the fused
        score, which no chunk has.
        """
        if self.score == scores.FUSED:
            return None
        known = [
            c.mismatch_distance for c in self.chunks if c.mismatch_distance is not None
        ]
        if self.score != scores.ALIGNED:
            return self.threshold.value
        return float(np.mean(known)) if known else None

    def is_suspicious(self, chunk: JudgedChunk) -> bool:
        """Whether a chunk does not fit.

        By the MDS and by a head: its value reaches the threshold. By the fused score:
        all of a video that is called fake. By the aligned score the same; of one whose
        voice fits, the seconds whose mouths are in the mean of three seconds no nearer
        to their voice, at the video's own offset, than to their mismatches. Faces that
        are not speaking never.
        """
        if self.score in scores.MEANS:
            return self.shown_distance(chunk) >= self.threshold.value
        if self.score == scores.FUSED:
            return self.verdict == FAKE_VERDICT
        if self.speaks(chunk.track) is False or self.verdict == CANNOT_TELL:
            return False
        return self.verdict == FAKE_VERDICT or (
            (chunk.track, chunk.start_seconds) in self._doubtful
        )

    @functools.cached_property
    def _doubtful(self) -> set[tuple[int, float]]:
        found = set()
        for track in self.tracks:
            chunks = [c for c in self.chunks if c.track == track]
            gains = {
                c.start_seconds: c.mismatch_distance - c.offset_distance
                for c in chunks
                if c.offset_distance is not None and c.mismatch_distance is not None
            }
            starts, gain = np.array([*gains]), np.array([*gains.values()])
            for start in gains:
                near = np.abs(starts - start) < _MOMENT_SECONDS / 2
                if gain[near].mean() <= 0:
                    found.add((track, start))
        return found

    def of_track(self, track: int) -> "VideoJudgement":
        """The judgement as if only one track had been seen."""
        chunks = [chunk for chunk in self.chunks if chunk.track == track]
        chunks.sort(key=lambda chunk: chunk.start_seconds)
        evidence = tuple(s for s in self.evidence if s.track == track)
        return dataclasses.replace(self, chunks=tuple(chunks), evidence=evidence)

    def to_json(self) -> dict[str, Any]:
        """All that is said, without pictures."""
        return {
            "path": self.path,
            "status": self.status,
            "reason": self.reason,
            "verdict": self.verdict,
            "explanation": self.explanation,
            "score": self.score,
            "mds": self.mds,
            **_alignment_to_json(self.whole),
            **self._others_to_json(),
            "threshold": self.threshold.value,
            "streams": {s: self._stream_to_json(s) for s in self.told_streams},
            "fake_probability": self.fake_probability,
            "shares": self.shares,
            "is_borderline": self.is_borderline,
            "seconds_total": self.seconds_total,
            "seconds_scored": round(self.seconds_scored, 3),
            "level": self.level,
            "suspicious_periods": _lists(self.suspicious_periods),
            "fake_periods": self._fake_periods_to_json(),
            "unscored_periods": _lists(self.unscored_periods),
            "unread": [list(stretch) for stretch in self.unread],
            "tracks": [self._track_to_json(track) for track in self.tracks],
            "skipped_tracks": [dataclasses.asdict(s) for s in self.skipped_tracks],
            "model_id": self.model_id,
            "evidence": [stretch.to_json() for stretch in self.evidence],
        }

    @classmethod
    def from_json(
        cls, fields: dict[str, Any], threshold: Threshold, chunk_seconds: float = 1.0
    ) -> "VideoJudgement":
        """Reads what `to_json` wrote of a video judged by this threshold.

        Raises:
          KeyError, TypeError, ValueError: The fields are others.
        """
        return cls(
            path=fields["path"],
            status=fields["status"],
            threshold=threshold,
            reason=fields["reason"],
            chunks=tuple(
                JudgedChunk(
                    track["track"],
                    chunk["start_seconds"],
                    chunk["distance"],
                    box=tuple(chunk["box"]),
                    offset_distance=chunk.get("offset_distance"),
                    mismatch_distance=chunk.get("mismatch_distance"),
                    mouth_motion=chunk.get("mouth_motion"),
                    heads={s: chunk[s] for s in spec.STREAMS if s in chunk},
                )
                for track in fields["tracks"]
                for chunk in track["chunks"]
            ),
            seconds_total=fields["seconds_total"],
            skipped_tracks=tuple(SkippedTrack(**s) for s in fields["skipped_tracks"]),
            # Older results do not have it.
            unread=tuple(tuple(stretch) for stretch in fields.get("unread", ())),
            model_id=fields["model_id"],
            chunk_seconds=chunk_seconds,
            evidence=tuple(map(Evidence.from_json, fields.get("evidence", ()))),
            told_streams=tuple(fields.get("streams", ())),
        )

    def _others_to_json(self) -> dict[str, float]:
        """Scores that not every model gives."""
        names = (*spec.STREAMS, scores.FUSED)
        return {name: self.values[name] for name in names if name in self.values}

    def _stream_to_json(self, stream: str) -> dict[str, Any]:
        head = self.threshold.heads.get(stream)
        return {
            "part": spec.STREAMS[stream],
            "fake_probability": self.values.get(stream),
            "threshold": head and head.value,
            "looks_forged": self.looks_forged.get(stream),
        }

    def _fake_periods_to_json(self) -> list[list[float]] | None:
        return None if self.fake_periods is None else _lists(self.fake_periods)

    def _track_to_json(self, track: int) -> dict[str, Any]:
        alone = self.of_track(track)
        speaks = self.speaks(track)
        return {
            "track": track,
            "speaks": speaks,
            # Of who does not speak there is none.
            "verdict": None if speaks is False else alone.verdict,
            "score": alone.score,
            "mds": alone.mds,
            **_alignment_to_json(alone.whole),
            **alone._others_to_json(),
            "threshold": self.threshold.value,
            "suspicious_periods": _lists(
                self._periods(filter(self.is_suspicious, alone.chunks))
            ),
            "chunks": [
                _chunk_to_json(c) | {"suspicious": self.is_suspicious(c)}
                for c in alone.chunks
            ],
        }

    def _periods(self, chunks: Iterable[JudgedChunk]) -> tuple[Period, ...]:
        return merge_periods(
            [(c.start_seconds, c.start_seconds + self.chunk_seconds) for c in chunks]
        )


def step_in_words(found: Alignment) -> str:
    """How early or late the sound is, empty where that is not clear."""
    seconds = found.offset_seconds
    if seconds is None or not found.offset_is_clear:
        return ""
    if abs(seconds) < _AUDIBLE:
        return "Sound and picture are in step"
    return f"The sound is {abs(seconds):.2f} s {'late' if seconds > 0 else 'early'}"


def _chunk_to_json(chunk: JudgedChunk) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "start_seconds": chunk.start_seconds,
        "distance": chunk.distance,
        "box": list(chunk.box),
    }
    if chunk.offset_distance is not None:
        fields["offset_distance"] = chunk.offset_distance
        fields["mismatch_distance"] = chunk.mismatch_distance
    if chunk.mouth_motion is not None:
        fields["mouth_motion"] = chunk.mouth_motion
    return {**fields, **chunk.heads}


def _alignment_to_json(found: Alignment) -> dict[str, Any]:
    return {
        "aligned": None if found.aligned is None else round(found.aligned, 4),
        "offset_seconds": found.offset_seconds,
        "offset_is_clear": found.offset_is_clear,
        "aligned_over_seconds": round(found.seconds, 3),
    }


# Times come through float32: what is closer than this touches.
_ROUNDING = 1e-3


def merge_periods(periods: Sequence[Period]) -> tuple[Period, ...]:
    """Joins stretches that touch or overlap; the result is in order of time."""
    merged: list[Period] = []
    for start, end in sorted(periods):
        if merged and start <= merged[-1][1] + _ROUNDING:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _length(periods: Iterable[Period]) -> float:
    return sum(end - start for start, end in periods)


def _lists(periods: Iterable[Period]) -> list[list[float]]:
    return [[round(start, 3), round(end, 3)] for start, end in periods]
