"""What all charts share: colours, layers, lines with names; pages and pictures of them.

Vega draws SVG in a page: it follows the pointer, prints sharply and takes its colours
from the page's style sheet, so that one chart serves light, dark and paper.
"""

import functools
import importlib.resources
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

import altair as alt
import vl_convert

Row = Mapping[str, Any]
AnyChart = alt.LayerChart | alt.FacetChart | alt.HConcatChart

# Names of the style sheet.
REAL, FAKE, STEP, NEUTRAL, INK, LINE, VEIL, PAPER = (
    f"var(--{name})"
    for name in ("real", "fake", "step", "neutral", "ink", "line", "veil", "paper")
)
# Colours of real and fake videos.
CLASSES = alt.Scale(domain=["real", "fake"], range=[REAL, FAKE])
# Of a share or a rate.
RATE = alt.Scale(domain=[0, 1], nice=False)

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
    "title": {"color": INK, "anchor": "start"},
}


def data(rows: Iterable[Row]) -> alt.Data:
    """Rows as the data of a layer."""
    return alt.Data(values=list(rows))


def layered(
    height: int, description: str, *layers: alt.Chart | alt.LayerChart | None
) -> alt.LayerChart:
    """A chart of the layers there are, `height` pixels high."""
    there = [layer for layer in layers if layer is not None]
    # None of the layers is a facet.
    chart = cast(alt.LayerChart, alt.layer(*there))
    return chart.properties(height=height, description=description)


def marked_line(
    axis: str,
    value: float,
    name: str,
    scale: alt.Scale | None = None,
    *,
    bold: bool = False,
) -> alt.LayerChart:
    """A line across the chart with its name.

    Args:
      axis: `x` or `y`, the one that has the value.
      value: Where the line lies.
      name: What to write at it.
      scale: Of the axis.
      bold: Whether it stands out among others.
    """
    channel, along = (alt.X, alt.Y) if axis == "x" else (alt.Y, alt.X)
    at = channel("value:Q", scale=scale or alt.Undefined)
    base = alt.Chart(data([{"value": value, "name": name}])).encode(at)
    rule = base.mark_rule(
        color=INK,
        strokeWidth=2.5 if bold else 1.5,
        strokeDash=[1, 0] if bold else [6, 4],
    ).encode(tooltip=["name:N", alt.Tooltip("value:Q", format=".3f")])
    place: dict[str, Any] = (
        {"baseline": "top", "dx": 5}
        if axis == "x"
        else {"baseline": "bottom", "dx": 4, "dy": -3}
    )
    edge = 0 if axis == "y" else 2 if bold else 18
    text = base.mark_text(
        align="left", fontWeight="bold" if bold else "normal", tooltip=None, **place
    ).encode(**{along.__name__.lower(): alt.value(edge)}, text="name:N")
    return rule + text


def to_page(chart: alt.LayerChart) -> dict[str, Any]:
    """The specification of a chart that is as wide as its place in a page."""
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    return specification(
        chart.properties(width="container", autosize=fit, config=_CONFIG)
    )


def specification(chart: AnyChart) -> dict[str, Any]:
    """A chart in Vega-Lite, for who draws it.

    It is not held against the schema, which takes longer than to draw it: the charts
    are ours, and tests do that.
    """
    return chart.to_dict(validate=False)


def to_png(chart: AnyChart) -> bytes:
    """A chart as a PNG on white, in the colours of a light page."""
    drawn = json.dumps(
        specification(chart.properties(config=_CONFIG, background="white"))
    )
    for name, colour in _light_colours().items():
        drawn = drawn.replace(f"var(--{name})", colour)
    return vl_convert.vegalite_to_png(drawn, scale=2)


@functools.lru_cache(maxsize=1)
def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that sets `vegaEmbed`."""
    # Its types want a snippet, without which the script sets `vegaEmbed`.
    script = cast(Any, vl_convert).javascript_bundle()
    # The script's own names would fall among the page's.
    return f"(()=>{{{script}}})();"


@functools.lru_cache(maxsize=1)
def _light_colours() -> dict[str, str]:
    """What the names of the style sheet stand for, from its first block."""
    page = importlib.resources.files("tfmds.reporting") / "templates" / "base.html"
    first_block = page.read_text().partition(":root {")[2].partition("}")[0]
    return dict(re.findall(r"--(\w+): (#\w+);", first_block))
