"""Timeline: the stretches of a video and the course of its lag, as rows to draw.

Places are shares of the width in percent, so that a template draws them as SVG without
a script, in reports and in the service alike.
"""

from typing import Any

import numpy as np

from tfmds.judgement import findings, seen
from tfmds.judgement.judgement import VideoJudgement
from tfmds.reporting import sentences

# What was not compared, beside `findings.SAYS`.
_NOTHING = "nothing"
# Seconds between marks of an axis; so many marks at most.
_STEPS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
_MAX_TICKS = 8
# A course is drawn up to so many seconds early and late, on all pages.
_SHOWN_OFFSET = 1.0
_COURSE_HEIGHT = 140
# A narrower mark would not be seen, in percent.
_LEAST_WIDTH = 0.3


def length(judgement: VideoJudgement) -> float:
    """How long the axis of time is, in seconds."""
    ends = [c.start_seconds + judgement.chunk_seconds for c in judgement.chunks]
    return max(judgement.seconds_total or 0.0, *ends)


def stretches(judgement: VideoJudgement) -> list[dict[str, Any]]:
    """What is said of which stretch, with what was not compared between; in order.

    None where the video is not judged by its stretches.
    """
    if not judgement.by_stretches or not judgement.chunks:
        return []
    end = length(judgement)
    decide = [f for f in judgement.findings if f.decides]
    rows = [
        _place(f.start_seconds, f.end_seconds, end)
        | {
            "says": f.says,
            "word": sentences.READING_WORDS[f.says],
            "sentence": sentences.finding(f),
        }
        for f in decide
    ]
    covered = seen.merge_periods([(f.start_seconds, f.end_seconds) for f in decide])
    rows += [
        _place(start, stop, end)
        | {
            "says": _NOTHING,
            "word": "",
            "sentence": sentences.not_compared(start, stop),
        }
        for start, stop in seen.gaps_between(covered, end)
        if stop - start >= judgement.chunk_seconds
    ]
    return sorted(rows, key=lambda row: row["start_seconds"])


def course(judgement: VideoJudgement) -> dict[str, Any] | None:
    """How early or late the sound is second by second; None where one offset says it.

    Returns:
      `height` in pixels, `marks` and `levels` with their `top`, and `words_at`, on
      which side the words of the levels stand.
    """
    if not sentences.moves(judgement):
        return None
    end, found = length(judgement), judgement.course
    # A second's mouths reach into the next one.
    stops = np.minimum(found.end_seconds, [*found.start_seconds[1:], np.inf])
    marks = [
        _place(start, stop, end)
        | {
            "top": _top(offset),
            "says": findings.OUT_OF_STEP if late > 0.5 else findings.FITS,
            "sentence": sentences.offset_at(start, offset),
        }
        for start, stop, offset, none, late in zip(
            found.start_seconds.tolist(),
            stops.tolist(),
            found.offset_seconds.tolist(),
            found.none.tolist(),
            found.out_of_step.tolist(),
            strict=True,
        )
        if none < 0.5
    ]
    levels = [
        {"top": _top(-_SHOWN_OFFSET), "word": f"{_SHOWN_OFFSET:g} s early"},
        {"top": _top(0.0), "word": "in step"},
        {"top": _top(_SHOWN_OFFSET), "word": f"{_SHOWN_OFFSET:g} s late"},
    ]
    # Words stand where the marks are farther from the middle.
    middle = _top(0.0)
    first, last = (abs(marks[at]["top"] - middle) for at in (0, -1))
    words_at = "start" if first >= last else "end"
    return {
        "height": _COURSE_HEIGHT,
        "marks": marks,
        "levels": levels,
        "words_at": words_at,
    }


def ticks(judgement: VideoJudgement) -> list[dict[str, Any]]:
    """Marks of the axis of time."""
    end = length(judgement)
    step = next((s for s in _STEPS if end / s <= _MAX_TICKS), _STEPS[-1])
    return [
        {
            "left": _percent(at, end),
            "word": sentences.clock(at),
            "anchor": _anchor(at / end),
        }
        for at in range(0, int(end) + 1, step)
    ]


def of_page(judgement: VideoJudgement) -> dict[str, Any]:
    """All of it, as the templates ask for it."""
    if judgement.mds is None:
        return {"stretches": [], "course": None, "ticks": []}
    return {
        "stretches": stretches(judgement),
        "course": course(judgement),
        "ticks": ticks(judgement),
    }


def _place(start: float, stop: float, end: float) -> dict[str, Any]:
    width = max(_percent(stop - start, end), _LEAST_WIDTH)
    return {
        "start_seconds": round(start, 3),
        "left": _percent(start, end),
        "width": width,
        "right": round(_percent(start, end) + width, 3),
    }


def _percent(seconds: float, end: float) -> float:
    return round(100 * seconds / end, 3)


def _top(offset: float) -> float:
    shown = min(max(offset, -_SHOWN_OFFSET), _SHOWN_OFFSET)
    inside = _COURSE_HEIGHT - 22
    return round(18 + inside * (_SHOWN_OFFSET - shown) / (2 * _SHOWN_OFFSET), 1)


def _anchor(share: float) -> str:
    return "start" if share < 0.02 else "end" if share > 0.98 else "middle"
