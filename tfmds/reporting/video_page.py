"""Reports: one self-contained HTML page per video, and an index of several.

A page fetches nothing, works without a network, in light, dark and print. What comes
from files is data and never markup.
"""

import base64
import dataclasses
import functools
import hashlib
import heapq
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import altair as alt
import jinja2
import numpy as np
from etils import epath

from tfmds import spec
from tfmds.common import files
from tfmds.evaluation import scores
from tfmds.evaluation.bootstrap import Estimate
from tfmds.judgement import verdict
from tfmds.judgement.judgement import VideoJudgement
from tfmds.judgement.seen import JudgedChunk
from tfmds.reporting import advice, sentences, timeline, video_charts
from tfmds.reporting.charts import library, to_page

INDEX_FILE = "index.html"

# A page shows so many faces at most, to stay a page that can be sent.
_MAX_FACES = 240
# An index lists so many videos at most; a browser opens that at once.
_MAX_LISTED = 5000
_LISTED_FIRST = (verdict.FAKE, verdict.OUT_OF_STEP, verdict.CANNOT_TELL, verdict.REAL)

_IN_PLAIN_WORDS = {
    spec.NO_FACE: "No face was in view long and large enough to be looked at.",
    spec.NO_AUDIO: "The video has no sound, and the method compares picture and sound.",
    spec.TOO_SHORT: "No face was in view for a whole second together with sound.",
    spec.DECODE_ERROR: "The file could not be read as a video.",
    spec.OVER_LIMIT: "The video is larger or takes longer than this program allows.",
}


@dataclasses.dataclass(frozen=True)
class _Face:
    """One picture of a strip."""

    source: str
    time: str
    start_seconds: float
    distance: float
    reading: str


def video_page(
    judgement: VideoJudgement, provenance: Mapping[str, str] | None = None
) -> str:
    """Renders the page of one video.

    Args:
      judgement: What is said about it.
      provenance: How it was made, as rows of a table: command, versions, digests.
    """
    most_faces = _MAX_FACES // max(len(judgement.tracks), 1)
    tracks = [track_strip(judgement, track, most_faces) for track in judgement.tracks]
    standing = video_charts.standing(judgement)
    by_lag = video_charts.by_lag(judgement)
    return render(
        "video.html",
        judgement=judgement,
        name=os.path.basename(judgement.path) or judgement.path,
        plain_reason=_plain_reason(judgement),
        tracks=tracks,
        standing=standing,
        by_lag=by_lag,
        **timeline.of_page(judgement),
        charts={f"track-{n}": track["chart"] for n, track in enumerate(tracks)}
        | {"standing": standing, "by-lag": by_lag},
        provenance=provenance or {},
    )


def details(judgement: VideoJudgement) -> dict[str, Any]:
    """What the page of one video says, in parts for a page that draws it itself.

    Returns:
      JSON: `chunk_seconds`, `lags` with the mean distance at each, where their axis
      begins and ends (`lag_scale`) and what they show (`dip`), the HTML of `verdict`,
      `stretches`, `figures` and `unseen`, and `tracks` with the pictures of their faces
      and what is `said` of each chunk.
    """
    most_faces = _MAX_FACES // max(len(judgement.tracks), 1)
    words: dict[str, Any] = {
        "judgement": judgement,
        "plain_reason": _plain_reason(judgement),
        **timeline.of_page(judgement),
    }
    lags = video_charts.lag_rows(judgement)
    strips = [track_strip(judgement, track, most_faces) for track in judgement.tracks]
    return {
        "chunk_seconds": judgement.chunk_seconds,
        "lags": lags,
        "lag_scale": video_charts.lag_scale(lags),
        "dip": advice.dip(judgement),
        "verdict": render("verdict.html", **words),
        "stretches": render("timeline.html", **words),
        "figures": render("figures.html", **words),
        "unseen": render("unseen.html", **words),
        "tracks": [
            {
                "track": track,
                "faces": [dataclasses.asdict(face) for face in strip["faces"]],
                "hidden_faces": strip["hidden_faces"],
                "said": [
                    sentences.reading(judgement, chunk)
                    for chunk in strip["judgement"].chunks
                ],
            }
            for track, strip in zip(judgement.tracks, strips, strict=True)
        ],
    }


def _plain_reason(judgement: VideoJudgement) -> str:
    # Where faces were left out, there were some: the reason itself says it.
    if judgement.skipped_tracks:
        return ""
    return _IN_PLAIN_WORDS.get(judgement.status, "")


def index_page(
    judgements: Iterable[VideoJudgement],
    provenance: Mapping[str, str] | None = None,
    has_page: Callable[[str], bool] = lambda _: True,
) -> str:
    """Renders the table of several videos, with links to their pages.

    Of very many those are listed that were called fake, then those out of step, then
    those of which nothing can be told, then real ones; each in the order given.

    Args:
      judgements: The videos.
      provenance: As of `video_page`.
      has_page: Whether there is a page of this name.
    """
    total = 0

    def numbered() -> Iterator[tuple[int, VideoJudgement]]:
        nonlocal total
        for judgement in judgements:
            total += 1
            yield total, judgement

    # Holds those that are listed, and not all of them.
    listed = heapq.nsmallest(
        _MAX_LISTED, numbered(), key=lambda row: _LISTED_FIRST.index(row[1].verdict)
    )
    listed.sort(key=lambda row: row[0])
    rows = [
        (page if has_page(page := page_name(judgement.path)) else "", judgement)
        for _, judgement in listed
    ]
    return render(
        "index.html",
        rows=rows,
        without_page=sum(not page for page, _ in rows),
        total=total,
        provenance=provenance or {},
    )


def write_video_page(
    output_dir: os.PathLike | str,
    judgement: VideoJudgement,
    provenance: Mapping[str, str] | None = None,
) -> epath.Path:
    """Writes the page of one video and returns its path."""
    path = epath.Path(output_dir) / page_name(judgement.path)
    files.write_text(path, video_page(judgement, provenance))
    return path


def write_index_page(
    output_dir: os.PathLike | str,
    judgements: Iterable[VideoJudgement],
    provenance: Mapping[str, str] | None = None,
) -> epath.Path:
    """Writes the table of several videos and returns its path."""
    path = epath.Path(output_dir) / INDEX_FILE
    folder = path.parent
    page = index_page(judgements, provenance, lambda name: (folder / name).exists())
    files.write_text(path, page)
    return path


def page_name(video_path: str) -> str:
    """File name of a video's page: readable, and its own for each path."""
    stem = re.sub(r"[^A-Za-z0-9.-]+", "_", os.path.basename(video_path)).strip("._")
    digest = hashlib.sha256(video_path.encode(errors="surrogateescape")).hexdigest()
    return f"{stem[:80] or 'video'}-{digest[:8]}.html"


def track_strip(
    judgement: VideoJudgement,
    track: int,
    most_faces: int,
    forged: Sequence[tuple[float, float]] = (),
) -> dict[str, Any]:
    """A track for a template: its chart and its faces.

    Args:
      judgement: The video.
      track: Which of its tracks.
      most_faces: So many faces at most.
      forged: What is known to be forged, in seconds.
    """
    alone = judgement.of_track(track)
    shown = _faces_shown(alone.chunks, most_faces)
    return {
        "number": track + 1,
        "judgement": alone,
        "speaks": judgement.speaks(track),
        "chart": video_charts.dissonance(judgement, track, forged),
        "faces": [
            _Face(
                source="data:image/jpeg;base64,"
                + base64.b64encode(chunk.face_jpeg).decode(),
                time=sentences.clock(chunk.start_seconds),
                start_seconds=chunk.start_seconds,
                distance=judgement.shown_distance(chunk),
                reading=judgement.reading(chunk),
            )
            for chunk in shown
        ],
        "hidden_faces": sum(bool(c.face_jpeg) for c in alone.chunks) - len(shown),
    }


def _faces_shown(chunks: Iterable[JudgedChunk], most: int) -> list[JudgedChunk]:
    """All with a picture; of too many, the highest distances and an even sample."""
    pictured = [chunk for chunk in chunks if chunk.face_jpeg]
    if len(pictured) <= most:
        return pictured
    by_distance = np.argsort([-chunk.distance for chunk in pictured], kind="stable")
    even = np.linspace(0, len(pictured) - 1, most - most // 2).astype(int)
    kept = sorted({*by_distance[: most // 2].tolist(), *even.tolist()})
    return [pictured[number] for number in kept]


@functools.lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfmds.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock"] = sentences.clock
    environment.filters["periods"] = sentences.periods
    environment.filters["seconds"] = sentences.duration
    environment.globals["sentences"] = sentences
    environment.globals["advice"] = advice
    environment.globals["score_title"] = scores.SCORES.__getitem__
    environment.globals["OF_LAGS"] = scores.OF_LAGS
    environment.filters["value"] = _say_value
    environment.filters["bounds"] = _say_bounds
    environment.filters["stream_word"] = sentences.STREAM_WORDS.__getitem__
    return environment


def render(
    template: str,
    charts: Mapping[str, alt.LayerChart | None] | None = None,
    **values: Any,
) -> str:
    """Fills a template; every value is data, none is markup.

    Args:
      template: Its file.
      charts: By the id of their place, where the template has charts; a None is none.
      **values: What else it asks for.
    """
    charts = charts or {}
    drawn = {name: chart for name, chart in charts.items() if chart is not None}
    values["charts"] = {name: to_page(chart) for name, chart in drawn.items()}
    values["library"] = library() if drawn else ""
    page = _environment().get_template(template).render(**values)
    # A file name may hold bytes that are no text.
    return page.encode(errors="replace").decode()


def _say_value(estimate: Estimate) -> str:
    return "-" if estimate.value is None else f"{estimate.value:.3f}"


def _say_bounds(estimate: Estimate) -> str:
    if estimate.interval is None:
        return estimate.reason
    low, high = estimate.interval
    return f"{low:.3f} to {high:.3f}"
