"""Who of the faces in view says what is heard."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tfmds.data.manifest import Period
from tfmds.evaluation import scores
from tfmds.evaluation.alignment import Alignment, VideoAlignment
from tfmds.evaluation.course import STILL, Course
from tfmds.evaluation.lag_evidence import Evidence
from tfmds.evaluation.thresholds import Threshold
from tfmds.judgement.seen import JudgedChunk

# Without a threshold of the aligned score: what chance hardly reaches.
_FITS = -2.0


def moving(chunks: Sequence[JudgedChunk]) -> set[int]:
    """Tracks whose mouths move, as far as that was measured."""
    motions: dict[int, list[float]] = {}
    for chunk in chunks:
        known = motions.setdefault(chunk.track, [])
        if chunk.mouth_motion is not None:
            known.append(chunk.mouth_motion)
    return {t for t, known in motions.items() if not known or np.median(known) >= STILL}


def by_course(
    tracks: Iterable[int], course: Course, forged: Sequence[Period]
) -> dict[int, bool]:
    """Whether each face speaks; a face that the voice never fits is not there.

    A face whose seconds all are ones in which another face speaks does not. Seconds
    that fit by chance within a forged stretch are no fit.
    """
    middle = (course.start_seconds + course.end_seconds) / 2
    fits = course.none < 0.5
    for start, end in forged:
        fits &= (middle < start) | (middle > end)
    said = {int(track): True for track in np.unique(course.track[fits])}
    for track in tracks:
        if track not in said and not (course.track == track).any():
            said[track] = False
    return said


def by_alignment(
    tracks: Sequence[int],
    found: VideoAlignment,
    evidence: Sequence[Evidence],
    are_moving: set[int],
    threshold: Threshold,
) -> dict[int, bool]:
    """The same by what fits in the turns of five seconds, for videos judged as a whole.

    A face whose mouth does not move does not speak.
    """
    said = {t: True for t, spoken in found.spoken.items() if _fits(spoken, threshold)}
    for track in tracks:
        is_still = track not in are_moving
        if is_still or (
            track not in said and _others_speak(track, said, found, evidence)
        ):
            said[track] = False
    return said


def _fits(found: Alignment, threshold: Threshold) -> bool:
    if found.aligned is None:
        return False
    limit = threshold.value if threshold.score == scores.ALIGNED else _FITS
    return found.aligned < limit or found.offset_is_clear


def _others_speak(
    track: int,
    speakers: Mapping[int, bool],
    found: VideoAlignment,
    evidence: Sequence[Evidence],
) -> bool:
    own = [e for e in evidence if e.track == track]
    turns = [turn for turn in found.turns if turn.track in speakers]
    return bool(own) and all(
        any(
            turn.start_seconds < e.end_seconds and e.start_seconds < turn.end_seconds
            for turn in turns
        )
        for e in own
    )
