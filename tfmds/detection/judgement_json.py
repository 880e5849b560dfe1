"""JSON of a judgement, both ways; docs/detect.md lists the fields."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from tfmds import spec
from tfmds.data.manifest import Period
from tfmds.evaluation import scores
from tfmds.evaluation.alignment import Alignment
from tfmds.evaluation.lag_evidence import Evidence
from tfmds.evaluation.thresholds import Threshold
from tfmds.judgement.findings import Finding
from tfmds.judgement.judgement import VideoJudgement
from tfmds.judgement.seen import JudgedChunk, SkippedTrack
from tfmds.reporting import sentences

# Scores that not every model gives.
_OTHER_SCORES = (scores.STRETCHES, *spec.STREAMS, scores.FUSED)


def write(judgement: VideoJudgement) -> dict[str, Any]:
    """All that is said of a video, without pictures, as JSON values."""
    return {
        "path": judgement.path,
        "status": judgement.status,
        "reason": judgement.reason,
        "verdict": judgement.verdict,
        "explanation": sentences.explanation(judgement),
        "certainty": sentences.certainty(judgement),
        "score": judgement.score,
        "mds": judgement.mds,
        **_alignment(judgement.whole),
        **_others(judgement),
        "threshold": judgement.threshold.value,
        "streams": {s: _stream(judgement, s) for s in judgement.told_streams},
        "fake_probability": judgement.fake_probability,
        "shares": judgement.shares,
        "is_borderline": judgement.is_borderline,
        "seconds_total": judgement.seconds_total,
        "seconds_scored": round(judgement.seconds_scored, 3),
        "seconds_compared": round(judgement.seconds_compared, 3),
        "level": judgement.level,
        "suspicious_periods": _lists(judgement.suspicious_periods),
        "fake_periods": None
        if judgement.fake_periods is None
        else _lists(judgement.fake_periods),
        "unscored_periods": _lists(judgement.unscored_periods),
        "unread": [list(stretch) for stretch in judgement.unread],
        "findings": [_finding(found) for found in judgement.findings],
        "offsets": _offsets(judgement),
        "tracks": [_track(judgement, track) for track in judgement.tracks],
        "skipped_tracks": [dataclasses.asdict(s) for s in judgement.skipped_tracks],
        "model_id": judgement.model_id,
        "evidence": [cell.to_json() for cell in judgement.evidence],
    }


def read(
    fields: dict[str, Any], threshold: Threshold, chunk_seconds: float = 1.0
) -> VideoJudgement:
    """Reads what `write` wrote of a video judged by this threshold.

    Raises:
      KeyError, TypeError, ValueError: The fields are others.
    """
    return VideoJudgement(
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


def _others(judgement: VideoJudgement) -> dict[str, float]:
    values = judgement.values
    return {name: values[name] for name in _OTHER_SCORES if name in values}


def _alignment(found: Alignment) -> dict[str, Any]:
    return {
        "aligned": None if found.aligned is None else round(found.aligned, 4),
        "offset_seconds": found.offset_seconds,
        "offset_is_clear": found.offset_is_clear,
        "aligned_over_seconds": round(found.seconds, 3),
    }


def _finding(found: Finding) -> dict[str, Any]:
    return {
        **dataclasses.asdict(found),
        "offsets": found.offsets and list(found.offsets),
        "sentence": sentences.finding(found),
    }


def _offsets(judgement: VideoJudgement) -> list[list[float]]:
    """Start, end and offset of each second whose voice likely fits a mouth."""
    course = judgement.course
    return [
        [round(start, 3), round(end, 3), offset]
        for start, end, offset, none in zip(
            course.start_seconds.tolist(),
            course.end_seconds.tolist(),
            course.offset_seconds.tolist(),
            course.none.tolist(),
            strict=True,
        )
        if none < 0.5
    ]


def _stream(judgement: VideoJudgement, stream: str) -> dict[str, Any]:
    head = judgement.threshold.heads.get(stream)
    return {
        "part": spec.STREAMS[stream],
        "fake_probability": judgement.values.get(stream),
        "threshold": head and head.value,
        "looks_forged": judgement.looks_forged.get(stream),
    }


def _track(judgement: VideoJudgement, track: int) -> dict[str, Any]:
    alone = judgement.of_track(track)
    speaks = judgement.speaks(track)
    # Of who does not speak there is no verdict, nor a score to read one off.
    measured = {} if speaks is False else _alignment(alone.whole) | _others(alone)
    return {
        "track": track,
        "speaks": speaks,
        "verdict": None if speaks is False else alone.verdict,
        "score": alone.score,
        "mds": alone.mds,
        **dict.fromkeys((*_alignment(alone.whole), *_others(alone))),
        **measured,
        "threshold": judgement.threshold.value,
        "suspicious_periods": _lists(alone.periods_of(judgement.is_suspicious)),
        "chunks": [
            _chunk(chunk)
            | {
                "suspicious": judgement.is_suspicious(chunk),
                "reading": judgement.reading(chunk),
            }
            for chunk in alone.chunks
        ],
    }


def _chunk(chunk: JudgedChunk) -> dict[str, Any]:
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


def _lists(periods: Iterable[Period]) -> list[list[float]]:
    return [[round(start, 3), round(end, 3)] for start, end in periods]
