"""Findings: what each kind of evidence says about which stretch of a video.

A kind of evidence is a function that makes findings of what was measured and of its
thresholds. What follows from findings for the video is in `verdict`.
"""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from tfmds import spec
from tfmds.evaluation import scores
from tfmds.evaluation.alignment import Alignment
from tfmds.evaluation.course import Course
from tfmds.evaluation.thresholds import Threshold

# Kinds of evidence.
VOICE, PICTURE = "voice", "picture"
KINDS = (VOICE, PICTURE)
# What a finding says.
FITS, DOES_NOT_FIT, OUT_OF_STEP = "fits", "does_not_fit", "out_of_step"
LOOKS_FORGED, LOOKS_REAL = "looks_forged", "looks_real"
CANNOT_TELL = "cannot_tell"
SAYS = (FITS, DOES_NOT_FIT, OUT_OF_STEP, LOOKS_FORGED, LOOKS_REAL, CANNOT_TELL)
# Why a stretch cannot tell.
SILENT, STILL, TOO_SHORT, UNSURE = "silent", "still", "too_short", "unsure"
NO_SCORE = "no_score"
# Kind of evidence that the head of a stream gives.
_KIND_OF_STREAM = {scores.VISUAL: PICTURE, scores.AUDIO: VOICE}
# Chunks are a second long: a change lies so long after the start of the first of a
# second's mouths that does not fit any more.
_MIDDLE = 0.4
# From one second to the next an offset that is the same moves by less.
_SLIP = 0.1
# So few seconds fit by chance.
_CHANCE_SECONDS = 2
# Beside a surer run of seconds another one is named from this share of its surest on.
_STANDS_OUT = 0.65


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one kind of evidence says about one stretch.

    Attributes:
      kind: One of `KINDS`.
      says: One of `SAYS`.
      start_seconds: Where the stretch begins, on the video's clock.
      end_seconds: Where it ends.
      track: Whose face, where it is of one.
      probability: How sure, given the rest of the video; None where that was not asked.
      offsets: Lags at which the voice fits at its beginning and its end, in seconds,
        where it does.
      reason: Of what cannot tell, why.
      decides: Whether the verdict rests on it; what a head says beside the score that
        the video is judged by is told, and decides nothing.
    """

    kind: str
    says: str
    start_seconds: float
    end_seconds: float
    track: int | None = None
    probability: float | None = None
    offsets: tuple[float, float] | None = None
    reason: str = ""
    decides: bool = True

    @property
    def offset_seconds(self) -> float | None:
        """Lag at which the voice fits, in the middle."""
        return None if self.offsets is None else round(sum(self.offsets) / 2, 3)


def of_stretches(course: Course, threshold: Threshold) -> list[Finding]:
    """What a voice says second by second, by the stretch score.

    From the threshold on the seconds that likely fit no mouth are findings that say so;
    below it they cannot tell, since real videos have such seconds too. Where the voice
    rather fits at an unusual lag, nothing is forged.
    """
    silent = [_unable(span, SILENT) for span in course.silent]
    still = [_unable(span, STILL) for span in course.still]
    if course.score is None:
        spans = zip(course.start_seconds, course.end_seconds, strict=True)
        return _joined([*(_unable(s, TOO_SHORT) for s in spans), *silent, *still])
    late = OUT_OF_STEP if course.is_out_of_step else FITS
    says = np.where(course.out_of_step > 0.5, late, FITS).astype("U12")
    called = course.score >= threshold.value
    # Where no second stands out, those that say it most.
    level = min(0.5, 0.5 * float(course.none.max())) if called else 0.5
    none = _named(course.none, level, course.is_cut) if called else course.none > level
    says[none] = DOES_NOT_FIT if called else CANNOT_TELL
    found = []
    for t, word in enumerate(says.tolist()):
        fits = word in (FITS, OUT_OF_STEP)
        found.append(
            Finding(
                VOICE,
                word,
                float(course.start_seconds[t]),
                float(course.end_seconds[t]),
                track=int(course.track[t]),
                probability=float(
                    1 - course.none[t]
                    if word == FITS
                    else course.out_of_step[t]
                    if word == OUT_OF_STEP
                    else course.none[t]
                ),
                offsets=(course.offset_seconds[t].item(),) * 2 if fits else None,
                reason=UNSURE if word == CANNOT_TELL else "",
            )
        )
    return _joined([*found, *silent, *still])


def _named(none: np.ndarray, level: float, is_cut: np.ndarray) -> np.ndarray:
    """Which seconds of a video that is called fake are named, bool `[t]`.

    Those above the level; without runs of which no second stands out beside the surest
    one, and with fits of a second or two, which are of chance, between two runs or
    between one and a cut; so of the first and the last second of the video.
    """
    above = none > level
    edges = np.flatnonzero(
        np.diff(np.concatenate([[False], above, [False]]).astype(int))
    )
    runs = [
        (start, end)
        for start, end in edges.reshape(-1, 2)
        if none[start:end].max() >= _STANDS_OUT * none.max()
    ]
    named = np.zeros(len(none), bool)
    for start, end in runs:
        named[start:end] = True
    cuts = np.flatnonzero(is_cut).tolist()
    ends = sorted({*cuts, *(place for run in runs for place in run)})
    if ends[:1] == [1]:
        ends.insert(0, 0)
    if ends[-1:] == [len(none) - 1]:
        ends.append(len(none))
    for start, end in zip(ends, ends[1:], strict=False):
        if end - start <= _CHANCE_SECONDS and (start > 0 and named[start - 1]) | (
            end < len(none) and named[end]
        ):
            named[start:end] = True
    return named


def _unable(span: tuple[float, float], reason: str) -> Finding:
    return Finding(VOICE, CANNOT_TELL, span[0], span[1], reason=reason)


def _joined(found: Iterable[Finding]) -> list[Finding]:
    """Neighbours that say the same as one; each begins where the one before ends."""
    joined: list[Finding] = []
    for finding in sorted(found, key=lambda f: (f.start_seconds, f.end_seconds)):
        last = joined[-1] if joined else None
        if last and _goes_on(last, finding):
            joined[-1] = _both(last, finding)
            continue
        if last and finding.start_seconds < last.end_seconds - 1e-3:
            # A second's mouths reach into the next one.
            edge = round(min(finding.start_seconds + _MIDDLE, finding.end_seconds), 3)
            joined[-1] = dataclasses.replace(last, end_seconds=edge)
            finding = dataclasses.replace(finding, start_seconds=edge)
        joined.append(finding)
    return [f for f in joined if f.end_seconds - f.start_seconds > 1e-3]


def _goes_on(last: Finding, finding: Finding) -> bool:
    """Whether a finding says the same, without a slip, where the last one ends."""
    if (last.says, last.reason) != (finding.says, finding.reason):
        return False
    if finding.start_seconds > last.end_seconds + 1e-3:
        return False
    if last.offsets is None or finding.offsets is None:
        return True
    return abs(finding.offsets[0] - last.offsets[1]) < _SLIP


def _both(one: Finding, other: Finding) -> Finding:
    probability = None
    if one.probability is not None and other.probability is not None:
        lengths = [f.end_seconds - f.start_seconds for f in (one, other)]
        both = np.average([one.probability, other.probability], weights=lengths)
        probability = round(float(both), 4)
    return dataclasses.replace(
        one,
        end_seconds=max(one.end_seconds, other.end_seconds),
        track=one.track if one.track == other.track else None,
        probability=probability,
        offsets=one.offsets and other.offsets and (one.offsets[0], other.offsets[1]),
    )


def of_whole(
    value: float | None,
    threshold: Threshold,
    whole: Alignment,
    span: tuple[float, float],
    has_moving_mouth: bool,
) -> list[Finding]:
    """What a score of the whole video says of it, for thresholds of other scores.

    Args:
      value: The score that the threshold is of, None where there is none.
      threshold: Where a video is called fake.
      whole: The alignment of the video's speaker.
      span: From where to where the video was looked at, in seconds.
      has_moving_mouth: What fits a still picture fits it by chance.
    """
    kind = _KIND_OF_STREAM.get(threshold.score, VOICE)
    said = (LOOKS_REAL, LOOKS_FORGED) if kind == PICTURE else (FITS, DOES_NOT_FIT)
    by_alignment = threshold.score == scores.ALIGNED
    reason = ""
    if value is None:
        needs_alignment = scores.ALIGNED in threshold.made_of
        reason = TOO_SHORT if needs_alignment and whole.aligned is None else NO_SCORE
    elif by_alignment and not has_moving_mouth:
        reason = STILL
    if reason or value is None:
        return [Finding(kind, CANNOT_TELL, *span, reason=reason)]
    is_high = value >= threshold.value
    word = said[is_high]
    if is_high and by_alignment and whole.is_out_of_step:
        word = OUT_OF_STEP
    fits = by_alignment and whole.offset_is_clear and word != DOES_NOT_FIT
    offset = whole.offset_seconds if fits else None
    offsets = None if offset is None else (offset, offset)
    return [Finding(kind, word, *span, offsets=offsets)]


def of_heads(
    forged: Mapping[str, bool], values: Mapping[str, float], span: tuple[float, float]
) -> list[Finding]:
    """What heads say of picture and voice, each by itself.

    Args:
      forged: Whether a stream looks forged, by its name (`spec.STREAMS`).
      values: Probabilities that the heads give, by stream.
      span: As of `of_whole`.
    """
    return [
        Finding(
            _KIND_OF_STREAM[stream],
            LOOKS_FORGED if is_so else LOOKS_REAL,
            *span,
            probability=values[stream],
            decides=False,
        )
        for stream, is_so in forged.items()
        if stream in spec.STREAMS
    ]
