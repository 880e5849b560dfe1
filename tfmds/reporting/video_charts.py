"""Charts of a video, and what all charts share, as Vega-Lite specifications.

Vega draws SVG in the page: it answers the pointer, prints sharply and takes its
colours from the page's style sheet, so that one chart serves light, dark and paper.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmds.evaluation.judgement import VideoJudgement

Chart = dict[str, Any]

# Names of the style sheet.
REAL, FAKE, INK, LINE, VEIL, PAPER = (
    f"var(--{name})" for name in ("real", "fake", "ink", "line", "veil", "paper")
)
# Colours of real and fake videos.
CLASSES = {"domain": ["real", "fake"], "range": [REAL, FAKE]}
_CONFIG = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "domainColor": LINE,
        "gridColor": LINE,
        "tickColor": LINE,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "legend": {"labelColor": INK, "labelFontSize": 12, "title": None},
    "text": {"color": INK, "fontSize": 12},
}


@functools.lru_cache(maxsize=1)
def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that sets `vegaEmbed`."""
    import vl_convert

    # The script's own names would fall among the page's.
    return f"(()=>{{{vl_convert.javascript_bundle()}}})();"


def dissonance(
    judgement: VideoJudgement,
    track: int,
    forged: Sequence[tuple[float, float]] = (),
) -> Chart:
    """Distance of each chunk of a track over the length of the video.

    Args:
      judgement: The video.
      track: Which of its tracks.
      forged: What is known to be forged, in seconds; a bar along the top.
    """
    threshold = judgement.threshold.value
    chunks = judgement.of_track(track).chunks
    length = judgement.chunk_seconds
    top = max(threshold, *(chunk.distance for chunk in judgement.chunks)) * 1.1
    end = max(judgement.seconds_total or 0, judgement.chunks[-1].start_seconds + length)
    rows = [
        {
            "start": chunk.start_seconds,
            # Chunks that overlap are drawn up to the next.
            "end": min(chunk.start_seconds + length, following),
            "time": f"{clock(chunk.start_seconds)} to"
            f" {clock(chunk.start_seconds + length)}",
            "distance": chunk.distance,
            "threshold": threshold,
            "reading": "suspicious" if judgement.is_suspicious(chunk) else "matching",
            "number": number,
        }
        for number, (chunk, following) in enumerate(
            zip(chunks, [*(c.start_seconds for c in chunks[1:]), math.inf], strict=True)
        )
    ]
    # Between many narrow bars seams would wash the colours out.
    seam = 0.5 if end < 120 else 0
    gaps = [{"start": s, "end": e} for s, e in _gaps(judgement, track, end)]
    time = {
        "type": "quantitative",
        "scale": {"domain": [0, end], "nice": False},
        "axis": {
            "title": "time in the video",
            "labelExpr": _CLOCK_EXPRESSION,
            "tickMinStep": 1,
            "grid": False,
        },
    }
    height = {"type": "quantitative", "scale": {"domain": [0, top], "nice": False}}
    return layered(
        180,
        "Dissonance over time: distance of each second, and the threshold",
        {
            "data": {"values": gaps},
            "mark": {"type": "rect", "color": VEIL, "tooltip": "not looked at"},
            "encoding": {"x": {"field": "start", **time}, "x2": {"field": "end"}},
        },
        {
            "data": {"values": rows},
            "mark": {"type": "rect", "stroke": PAPER, "strokeWidth": seam},
            "encoding": {
                "x": {"field": "start", **time},
                "x2": {"field": "end"},
                "y2": {"datum": 0},
                "y": {
                    "field": "distance",
                    "title": "dissonance",
                    "axis": {"title": "dissonance", "tickCount": 4},
                    **height,
                },
                "color": {
                    "field": "reading",
                    "type": "nominal",
                    "scale": {
                        "domain": ["matching", "suspicious"],
                        "range": [REAL, FAKE],
                    },
                    "legend": None,
                },
                "tooltip": [
                    {"field": "time", "title": "time"},
                    {"field": "distance", "title": "dissonance", "format": ".3f"},
                    {"field": "threshold", "format": ".3f"},
                    {"field": "reading"},
                ],
            },
        },
        *marked_line("y", threshold, "threshold", height),
        *(
            [
                {
                    "data": {"values": [{"start": s, "end": e} for s, e in forged]},
                    "mark": {"type": "rect", "color": INK, "tooltip": "forged"},
                    "encoding": {
                        "x": {"field": "start", **time},
                        "x2": {"field": "end"},
                        "y": {"value": 0},
                        "y2": {"value": 6},
                    },
                }
            ]
            if forged
            else []
        ),
    )


def standing(judgement: VideoJudgement) -> Chart | None:
    """Where the video stands among those its threshold was chosen on.

    None where the threshold does not remember them.
    """
    quantiles = judgement.threshold.quantiles
    if judgement.mds is None or not all(quantiles.get(w) for w in ("real", "fake")):
        return None
    values = {word: np.asarray(quantiles[word]) for word in ("real", "fake")}
    return distributions(
        values,
        130,
        "MDS of this video among the videos the threshold was chosen on",
        marks={"threshold": judgement.threshold.value},
        bold_mark={"this video": judgement.mds},
        bins=40,
    )


def distributions(
    values: Mapping[str, np.ndarray],
    height: int,
    description: str,
    marks: Mapping[str, float],
    bold_mark: Mapping[str, float] | None = None,
    bins: int | None = None,
) -> Chart:
    """How the MDS of reals and of fakes are spread, as shares of their class.

    Args:
      values: MDS of videos by class, `real` and `fake`; one may be empty.
      height: Of the chart, in pixels.
      description: What it shows.
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
    rows = []
    for word, of_class in values.items():
        counts = np.histogram(of_class, edges)[0].tolist()
        rows += [
            {
                "from": left,
                "to": right,
                "share": count / len(of_class),
                "videos": word,
            }
            for left, right, count in zip(
                edges[:-1].tolist(), edges[1:].tolist(), counts, strict=True
            )
            if count
        ]
    mds = {"type": "quantitative", "scale": {"domain": [low, high], "nice": True}}
    return layered(
        height,
        description,
        {
            "data": {"values": rows},
            "mark": {"type": "bar", "opacity": 0.6, "binSpacing": 0},
            "encoding": {
                "x": {
                    "field": "from",
                    "bin": {"binned": True},
                    **mds,
                    "axis": {"title": "MDS", "grid": False, "tickCount": 8},
                },
                "x2": {"field": "to"},
                "y": {
                    "field": "share",
                    "type": "quantitative",
                    "stack": None,
                    "axis": {
                        "title": "share of the class",
                        "format": ".0%",
                        "tickCount": 3,
                    },
                },
                "color": {
                    "field": "videos",
                    "type": "nominal",
                    "scale": CLASSES,
                    "legend": {"orient": "top"},
                },
                "tooltip": [
                    {"field": "videos"},
                    {"field": "from", "title": "MDS from", "format": ".3f"},
                    {"field": "to", "format": ".3f"},
                    {"field": "share", "format": ".1%"},
                ],
            },
        },
        *(
            layer
            for name, value in marks.items()
            for layer in marked_line("x", value, name, mds)
        ),
        *(
            layer
            for name, value in bold_mark.items()
            for layer in marked_line("x", value, name, mds, bold=True)
        ),
    )


def clock(seconds: float) -> str:
    """Seconds as `m:ss`, or `m:ss.s` where they are not whole."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    whole, tenth = divmod(rest, 10)
    return f"{minutes}:{whole:02d}" + (f".{tenth}" if tenth else "")


# The same for Vega's axes.
_CLOCK_EXPRESSION = (
    "floor(datum.value / 60) + ':' + (datum.value % 60 < 10 ? '0' : '')"
    " + format(datum.value % 60, '~f')"
)


def layered(height: int, description: str, *layers: Chart) -> Chart:
    """A chart of layers as wide as its place, `height` pixels high."""
    return {
        "description": description,
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "config": _CONFIG,
        "layer": list(layers),
    }


def marked_line(
    axis: str, value: float, name: str, encoding: Chart, *, bold: bool = False
) -> list[Chart]:
    """A line across the chart with its name."""
    data = {"values": [{"value": value, "name": name}]}
    at = {"field": "value", **encoding}
    along = (
        {"align": "left", "baseline": "bottom", "dx": 4, "dy": -3}
        if axis == "y"
        else {"align": "left", "baseline": "top", "dx": 5}
    )
    edge = {"x": {"value": 0}} if axis == "y" else {"y": {"value": 2 if bold else 18}}
    tooltip = [{"field": "name"}, {"field": "value", "format": ".3f"}]
    return [
        {
            "data": data,
            "mark": {
                "type": "rule",
                "color": INK,
                "strokeWidth": 2.5 if bold else 1.5,
                "strokeDash": [1, 0] if bold else [6, 4],
            },
            "encoding": {axis: at, "tooltip": tooltip},
        },
        {
            "data": data,
            "mark": {
                "type": "text",
                "fontWeight": "bold" if bold else "normal",
                "tooltip": None,
                **along,
            },
            "encoding": {axis: at, **edge, "text": {"field": "name"}},
        },
    ]


def _gaps(
    judgement: VideoJudgement, track: int, end: float
) -> list[tuple[float, float]]:
    alone = dataclasses.replace(judgement.of_track(track), seconds_total=end)
    return list(alone.unscored_periods)
