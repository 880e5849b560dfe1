"""Judgement: the record of one video, its facts, findings and verdict.

Sentences about it are in `reporting.sentences`, its JSON is in `detection.results`.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable

import numpy as np

from tfmds import spec
from tfmds.data.manifest import Period
from tfmds.evaluation import alignment, course, scores
from tfmds.evaluation.alignment import Alignment, VideoAlignment
from tfmds.evaluation.course import Course
from tfmds.evaluation.lag_evidence import Evidence
from tfmds.evaluation.thresholds import Threshold
from tfmds.judgement import findings, seen, speakers, verdict
from tfmds.judgement.findings import Finding
from tfmds.judgement.seen import JudgedChunk, SkippedTrack

# Chunks that are taken together where it is asked whether a moment fits.
_MOMENT_SECONDS = 3.0
_SUSPICIOUS = (findings.DOES_NOT_FIT, findings.OUT_OF_STEP, findings.LOOKS_FORGED)


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
        """Where and how well the voice fits the speaker, and each face, on the whole.

        A face whose mouth does not move is nobody's while others move theirs.
        """
        moving = [s for s in self.evidence if s.track in self._moving]
        return alignment.align_video(moving or self.evidence)

    @functools.cached_property
    def course(self) -> Course:
        """The same second by second."""
        return course.trace(self.evidence)

    @functools.cached_property
    def _moving(self) -> set[int]:
        return speakers.moving(self.chunks)

    @property
    def whole(self) -> Alignment:
        """The alignment of the video's speaker."""
        return self.alignment.whole

    @property
    def score(self) -> str:
        """What the video is judged by, one of `scores.SCORES`: as its threshold."""
        return self.threshold.score

    @property
    def by_stretches(self) -> bool:
        """Whether the verdict comes from the stretches of the video."""
        return self.score == scores.STRETCHES

    @functools.cached_property
    def values(self) -> dict[str, float]:
        """The scores of the video by name, of `scores.SCORES`; those there are."""
        found = {
            scores.MDS: self.mds,
            scores.ALIGNED: self.whole.aligned,
            scores.STRETCHES: self.course.score,
        }
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

    @functools.cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What each kind of evidence says of which stretch, in order of time."""
        if not self.chunks:
            return ()
        span = (self.scored_periods[0][0], self.scored_periods[-1][1])
        if self.by_stretches:
            found = findings.of_stretches(self.course, self.threshold)
        else:
            found = findings.of_whole(
                self.value, self.threshold, self.whole, span, bool(self._moving)
            )
        heads = findings.of_heads(self.looks_forged, self.values, span)
        return tuple(found + heads)

    @property
    def verdict(self) -> str:
        """One of `verdict.VERDICTS`; `cannot_tell` where the status is not `ok`."""
        return verdict.of(self.findings)

    def periods_that_say(self, *says: str) -> tuple[Period, ...]:
        """Stretches of the findings that decide and say one of these."""
        return seen.merge_periods(
            [
                (f.start_seconds, f.end_seconds)
                for f in self.findings
                if f.decides and f.says in says
            ]
        )

    @property
    def seconds_compared(self) -> float:
        """What the score is of: seconds of a mouth with its voice."""
        if self.by_stretches:
            return self.course.seconds
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
    def rests_on_score(self) -> bool:
        """Whether the verdict is one of the score, not of an offset or of nothing."""
        return self.verdict in (verdict.REAL, verdict.FAKE)

    @property
    def fake_probability(self) -> float | None:
        """Calibrated; as if real and fake were equally likely beforehand.

        None where the verdict does not rest on the score, the threshold has no
        calibration, or the video is shorter than those that this is of.
        """
        calibration = self.threshold.calibration
        if not self.rests_on_score or self.is_short or calibration is None:
            return None
        return float(calibration(np.asarray(self.value)))

    @property
    def shares(self) -> dict[str, float] | None:
        """How usual the score is among the videos that the threshold was chosen on.

        `real` is the share of the real ones whose score is at least as high, `fake`
        that of the fake ones whose score is at most as high; None where the verdict
        does not rest on it, the threshold does not remember them, or the video is
        shorter than they are.
        """
        quantiles = self.threshold.quantiles
        if self.value is None or not self.rests_on_score or self.is_short:
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
        if self.value is None or not self.rests_on_score:
            return False
        interval = self.threshold.interval
        if interval is not None and interval[0] <= self.value <= interval[1]:
            return True
        return self.leans_elsewhere

    @property
    def leans_elsewhere(self) -> bool:
        """Whether the probability is on the other side of one half than the verdict."""
        probability = self.fake_probability
        if probability is None:
            return False
        return (probability >= 0.5) != (self.verdict == verdict.FAKE)

    def speaks(self, track: int) -> bool | None:
        """Whether a face says what is heard.

        True where the voice fits its mouth while it is the best of all in view, False
        where all of its time the voice fits somebody else, None where it fits nobody.
        """
        return self._speakers.get(track)

    @functools.cached_property
    def _speakers(self) -> dict[int, bool]:
        if self.by_stretches:
            forged = self.periods_that_say(findings.DOES_NOT_FIT)
            return speakers.by_course(self.tracks, self.course, forged)
        return speakers.by_alignment(
            self.tracks, self.alignment, self.evidence, self._moving, self.threshold
        )

    @property
    def scored_periods(self) -> tuple[Period, ...]:
        """Stretches that were looked at, in seconds."""
        return self.periods_of(lambda _: True)

    @property
    def unscored_periods(self) -> tuple[Period, ...]:
        """Stretches of the video that were not looked at, in seconds."""
        if self.seconds_total is None:
            return ()
        return seen.gaps_between(self.scored_periods, self.seconds_total)

    @property
    def seconds_scored(self) -> float:
        """Seconds of the video that were looked at, however many faces there are."""
        return seen.length(self.scored_periods)

    @property
    def suspicious_periods(self) -> tuple[Period, ...]:
        """Stretches that do not fit, or not in step; by other scores see `reading`."""
        if self.by_stretches:
            return self.periods_that_say(*_SUSPICIOUS)
        return self.periods_of(self.is_suspicious)

    @property
    def fake_periods(self) -> tuple[Period, ...] | None:
        """Stretches that are reported as forged, in seconds.

        By the stretch score those that fit no mouth; else those of the localization.
        None where nothing was localized: the threshold has no levels for it, or the
        video has no chunks.
        """
        if self.by_stretches and self.chunks:
            return self.periods_that_say(findings.DOES_NOT_FIT, findings.LOOKS_FORGED)
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
        return seen.length(self.suspicious_periods)

    @property
    def tracks(self) -> tuple[int, ...]:
        """Numbers of the scored tracks, ascending."""
        return tuple(sorted({chunk.track for chunk in self.chunks}))

    def shown_distance(self, chunk: JudgedChunk) -> float:
        """The distance that a timeline shows.

        Where the video is judged by lags, that at its own offset; by the score of a
        head, its probability.
        """
        by_lags = self.score in scores.OF_LAGS
        if by_lags and chunk.offset_distance is not None:
            return chunk.offset_distance
        return chunk.heads.get(self.score, chunk.distance)

    @property
    def level(self) -> float | None:
        """What a timeline holds these distances against.

        By the MDS and by a head the threshold; by scores of lags the mean of all
        mismatches, that is how far apart mouth and voice of this video are where they
        do not belong together, None where these were not measured. None by the fused
        score, which no chunk has.
        """
        if self.score == scores.FUSED:
            return None
        known = [
            c.mismatch_distance for c in self.chunks if c.mismatch_distance is not None
        ]
        if self.score not in scores.OF_LAGS:
            return self.threshold.value
        return float(np.mean(known)) if known else None

    def reading(self, chunk: JudgedChunk) -> str:
        """What is said of a chunk, one of `findings.SAYS`.

        By the stretch score that of the stretch its middle lies in. By the MDS and by a
        head whether its value reaches the threshold; by the fused score that of the
        video. By the aligned score the same; of a video whose voice fits, seconds do
        not whose mouths are in the mean of three seconds no nearer to their voice, at
        the video's own offset, than to their mismatches. Of faces that do not speak
        nothing can be told.
        """
        if self.score in scores.MEANS:
            high = self.shown_distance(chunk) >= self.threshold.value
            return findings.DOES_NOT_FIT if high else findings.FITS
        if self.score == scores.FUSED:
            is_fake = self.verdict == verdict.FAKE
            return findings.DOES_NOT_FIT if is_fake else findings.FITS
        if self.speaks(chunk.track) is False or self.verdict == verdict.CANNOT_TELL:
            return findings.CANNOT_TELL
        if self.by_stretches:
            middle = chunk.start_seconds + self.chunk_seconds / 2
            for found in self.findings:
                if found.decides and found.start_seconds <= middle < found.end_seconds:
                    return found.says
            return findings.CANNOT_TELL
        doubtful = (chunk.track, chunk.start_seconds) in self._doubtful
        if self.verdict == verdict.FAKE or doubtful:
            return findings.DOES_NOT_FIT
        return findings.FITS

    def is_suspicious(self, chunk: JudgedChunk) -> bool:
        """Whether a chunk does not fit, or not in step, see `reading`."""
        return self.reading(chunk) in _SUSPICIOUS

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
        if self.tracks == (track,):
            # What was worked out of it once is kept.
            return self
        chunks = [chunk for chunk in self.chunks if chunk.track == track]
        chunks.sort(key=lambda chunk: chunk.start_seconds)
        evidence = tuple(s for s in self.evidence if s.track == track)
        return dataclasses.replace(self, chunks=tuple(chunks), evidence=evidence)

    def periods_of(self, holds: Callable[[JudgedChunk], bool]) -> tuple[Period, ...]:
        """Stretches of the chunks of which something holds."""
        return self._periods(filter(holds, self.chunks))

    def _periods(self, chunks: Iterable[JudgedChunk]) -> tuple[Period, ...]:
        return seen.merge_periods(
            [(c.start_seconds, c.start_seconds + self.chunk_seconds) for c in chunks]
        )
