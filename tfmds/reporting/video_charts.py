"""Charts of a video."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np

from tfmds.evaluation.alignment import MAX_OFFSET
from tfmds.evaluation.lag_evidence import lags
from tfmds.evaluation.scores import OF_LAGS, SCORES
from tfmds.judgement import findings
from tfmds.judgement.judgement import VideoJudgement
from tfmds.reporting import sentences
from tfmds.reporting.charts import (
    CLASSES,
    FAKE,
    INK,
    NEUTRAL,
    PAPER,
    REAL,
    STEP,
    VEIL,
    data,
    layered,
    marked_line,
)
from tfmds.spec import STREAMS

# Lags that a chart shows, up to so many seconds: as far as offsets are looked for.
_SHOWN_LAG = MAX_OFFSET
# The same scale on all pages; where embeddings have the length 1, mouths and voices
# that do not belong together are some 1.25 apart.
_LAG_SCALE = (0.6, 1.6)
# Colours of what is said of a second.
_READINGS = {
    findings.FITS: REAL,
    findings.DOES_NOT_FIT: FAKE,
    findings.OUT_OF_STEP: STEP,
    findings.LOOKS_FORGED: FAKE,
    findings.LOOKS_REAL: REAL,
    findings.CANNOT_TELL: NEUTRAL,
}


def dissonance(
    judgement: VideoJudgement,
    track: int,
    forged: Sequence[tuple[float, float]] = (),
) -> alt.LayerChart:
    """Distance of each chunk of a track over the length of the video.

    Args:
      judgement: The video.
      track: Which of its tracks.
      forged: What is known to be forged, in seconds; a bar along the top.
    """
    threshold = judgement.level
    name = "probability of fake" if judgement.score in STREAMS else "dissonance"
    level_name = "not together" if judgement.score in OF_LAGS else "threshold"
    chunks = judgement.of_track(track).chunks
    length = judgement.chunk_seconds
    top = max(threshold or 0, *map(judgement.shown_distance, judgement.chunks)) * 1.1
    end = max(judgement.seconds_total or 0, judgement.chunks[-1].start_seconds + length)
    starts = [chunk.start_seconds for chunk in chunks]
    rows = [
        {
            "start": chunk.start_seconds,
            # Chunks that overlap are drawn up to the next.
            "end": min(chunk.start_seconds + length, following),
            "time": f"{sentences.clock(chunk.start_seconds)} to"
            f" {sentences.clock(chunk.start_seconds + length)}",
            "distance": judgement.shown_distance(chunk),
            "threshold": threshold,
            "reading": judgement.reading(chunk),
            "said": sentences.reading(judgement, chunk),
            "number": number,
        }
        for number, (chunk, following) in enumerate(
            zip(chunks, [*starts[1:], math.inf], strict=True)
        )
    ]
    time = (
        alt.X("start:Q", title="time in the video")
        .scale(domain=[0, end], nice=False)
        .axis(labelExpr=_CLOCK_EXPRESSION, tickMinStep=1, grid=False)
    )
    scale = alt.Scale(domain=[0, top], nice=False)
    levels = [alt.Tooltip("threshold:Q", title=level_name, format=".3f")]
    levels = [] if threshold is None else levels
    # Between many narrow bars seams would wash the colours out.
    seam = 0.5 if end < 120 else 0
    bars = (
        alt.Chart(data(rows))
        .mark_rect(stroke=PAPER, strokeWidth=seam)
        .encode(
            time,
            alt.X2("end"),
            alt.Y("distance:Q", title=name, scale=scale).axis(tickCount=4),
            alt.Y2(datum=0),
            alt.Color("reading:N", legend=None).scale(
                domain=[*_READINGS], range=[*_READINGS.values()]
            ),
            tooltip=[
                alt.Tooltip("time:N"),
                alt.Tooltip("distance:Q", title=name, format=".3f"),
                *levels,
                alt.Tooltip("said:N", title="reading"),
            ],
        )
    )
    unseen = _stretches(_gaps(judgement, track, end), time, VEIL, "not looked at")
    known = _stretches(forged, time, INK, "forged").encode(
        y=alt.value(0), y2=alt.value(6)
    )
    return layered(
        180,
        f"{name.capitalize()} over time, of each second"
        + (f", and the {level_name}" if levels else ""),
        unseen,
        bars,
        None if threshold is None else marked_line("y", threshold, level_name, scale),
        known if forged else None,
    )


def lag_rows(judgement: VideoJudgement) -> list[dict[str, float]]:
    """Each lag in seconds and the mean distance at it, none where that is not known."""
    whole = judgement.whole
    if whole.offset_seconds is None:
        return []
    return [
        {"lag": round(float(lag), 3), "distance": round(float(distance), 5)}
        for lag, distance in zip(lags(), whole.distance, strict=True)
        if abs(lag) <= _SHOWN_LAG and not math.isnan(distance)
    ]


def lag_scale(rows: Sequence[Mapping[str, float]]) -> tuple[float, float]:
    """Where the axis of distances ends: as on all pages, if the rows lie within."""
    low, high = _LAG_SCALE
    distances = [row["distance"] for row in rows]
    if min(distances, default=low) < low:
        low = 0.0
    return low, max([high, *(1.1 * distance for distance in distances)])


def by_lag(judgement: VideoJudgement) -> alt.LayerChart | None:
    """Mean distance of mouth and voice by how much later the voice is taken.

    Where they belong together there is a dip, which lies at the offset. None where the
    video was not compared at other lags, or too little of it.
    """
    whole = judgement.whole
    rows = lag_rows(judgement)
    if not rows:
        return None
    scale = alt.Scale(domain=[-_SHOWN_LAG, _SHOWN_LAG], nice=False)
    line = (
        alt.Chart(data(rows))
        .mark_line(color=REAL, strokeWidth=2)
        .encode(
            alt.X("lag:Q", title="seconds by which the voice is taken later").scale(
                scale
            ),
            alt.Y("distance:Q", title="mean distance")
            .scale(domain=[*lag_scale(rows)], nice=False)
            .axis(tickCount=4),
            tooltip=[
                alt.Tooltip("lag:Q", title="seconds later", format="+.2f"),
                alt.Tooltip("distance:Q", title="mean distance", format=".3f"),
            ],
        )
    )
    offset, mark = whole.offset_seconds, None
    if offset is not None and whole.offset_is_clear:
        mark = marked_line("x", offset, f"{offset:+.2f} s", scale, bold=True)
    return layered(
        160,
        "Mean distance of mouth and voice by lag: a dip where they belong together",
        line,
        mark,
    )


def standing(judgement: VideoJudgement) -> alt.LayerChart | None:
    """Where the video stands among those its threshold was chosen on.

    None where the threshold does not remember them.
    """
    quantiles = judgement.threshold.quantiles
    if judgement.value is None or not all(quantiles.get(w) for w in ("real", "fake")):
        return None
    title = SCORES[judgement.threshold.score]
    values = {word: np.asarray(quantiles[word]) for word in ("real", "fake")}
    return distributions(
        values,
        130,
        f"{title} of this video among the videos the threshold was chosen on",
        title,
        marks={"threshold": judgement.threshold.value},
        bold_mark={"this video": judgement.value},
        bins=40,
    )


def distributions(
    values: Mapping[str, np.ndarray],
    height: int,
    description: str,
    title: str,
    marks: Mapping[str, float],
    bold_mark: Mapping[str, float] | None = None,
    bins: int | None = None,
) -> alt.LayerChart:
    """How the scores of reals and of fakes are spread, as shares of their class.

    Args:
      values: Scores of videos by class, `real` and `fake`; one may be empty.
      height: Of the chart, in pixels.
      description: What it shows.
      title: Of the score.
      marks: Lines across it by name.
      bold_mark: The same, drawn bold.
      bins: Bars of a class; by the number of videos without it.
    """
    bold_mark = bold_mark or {}
    score = np.concatenate(list(values.values()))
    ends = [score.min(), score.max(), *marks.values(), *bold_mark.values()]
    low, high = float(min(ends)), float(max(ends))
    bins = bins or int(np.clip(2 * np.sqrt(len(score)), 10, 60))
    edges = np.linspace(low, high + (high - low or 1) * 1e-6, bins + 1)
    rows = [
        {"from": left, "to": right, "share": count / len(of_class), "videos": word}
        for word, of_class in values.items()
        for left, right, count in zip(
            edges[:-1].tolist(),
            edges[1:].tolist(),
            np.histogram(of_class, edges)[0].tolist(),
            strict=True,
        )
        if count
    ]
    scale = alt.Scale(domain=[low, high], nice=True)
    bars = (
        alt.Chart(data(rows))
        .mark_bar(opacity=0.6, binSpacing=0)
        .encode(
            alt.X("from:Q", title=title, bin="binned", scale=scale).axis(
                grid=False, tickCount=8
            ),
            alt.X2("to"),
            alt.Y("share:Q", title="share of the class", stack=None).axis(
                format=".0%", tickCount=3
            ),
            alt.Color("videos:N", scale=CLASSES).legend(orient="top", title=None),
            tooltip=[
                alt.Tooltip("videos:N"),
                alt.Tooltip("from:Q", title=f"{title} from", format=".3f"),
                alt.Tooltip("to:Q", format=".3f"),
                alt.Tooltip("share:Q", format=".1%"),
            ],
        )
    )
    return layered(
        height,
        description,
        bars,
        *(marked_line("x", value, name, scale) for name, value in marks.items()),
        *(
            marked_line("x", value, name, scale, bold=True)
            for name, value in bold_mark.items()
        ),
    )


# `sentences.clock` for Vega's axes.
_CLOCK_EXPRESSION = (
    "floor(datum.value / 60) + ':' + (datum.value % 60 < 10 ? '0' : '')"
    " + format(datum.value % 60, '~f')"
)


def _stretches(
    periods: Sequence[tuple[float, float]], time: alt.X, colour: str, name: str
) -> alt.Chart:
    rows = [{"start": start, "end": end} for start, end in periods]
    return (
        alt.Chart(data(rows))
        .mark_rect(color=colour, tooltip=name)
        .encode(time, alt.X2("end"))
    )


def _gaps(
    judgement: VideoJudgement, track: int, end: float
) -> list[tuple[float, float]]:
    alone = dataclasses.replace(judgement.of_track(track), seconds_total=end)
    return list(alone.unscored_periods)
