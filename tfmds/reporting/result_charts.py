"""Charts of an evaluation, of a run's epochs and of a comparison."""

from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt
import numpy as np

from tfmds import spec
from tfmds.evaluation import metrics, ranking
from tfmds.evaluation.comparison import Comparison
from tfmds.evaluation.epochs import Epochs
from tfmds.evaluation.evaluation import VIDEOS, Evaluation
from tfmds.evaluation.scores import SCORES
from tfmds.reporting import charts, video_charts
from tfmds.reporting.charts import (
    CLASSES,
    FAKE,
    INK,
    RATE,
    REAL,
    Row,
    data,
    layered,
    marked_line,
)

# A line of more points looks the same and weighs more.
_MAX_POINTS = 400
# A scatter shows so many of the videos that are agreed upon.
_MAX_AGREED = 1500
_HEIGHT = 300


def roc(evaluation: Evaluation) -> alt.LayerChart | None:
    """ROC with the operating point; None where a class is missing."""
    ranked = ranking.rank(evaluation.sample)
    if np.isnan(metrics.auc(ranked)):
        return None
    fpr, tpr = ranking.roc(ranked)
    kept = _thinned(fpr, tpr)
    levels = np.concatenate([[np.inf], ranked.levels[::-1]])
    rows = [
        {"fpr": x, "recall": y, "level": _level(level)}
        for x, y, level in zip(
            fpr[kept].tolist(), tpr[kept].tolist(), levels[kept].tolist(), strict=True
        )
    ]
    point = None
    if evaluation.threshold is not None:
        point = {
            "fpr": evaluation.estimates[f"{VIDEOS}/false_positive_rate"].value,
            "recall": evaluation.estimates[f"{VIDEOS}/recall"].value,
            "level": _level(evaluation.threshold.value),
        }
    return _curve(
        "ROC: fakes called fake over reals called fake",
        rows,
        point,
        ("fpr", "reals called fake"),
        ("recall", "fakes called fake"),
        [{"fpr": 0, "recall": 0}, {"fpr": 1, "recall": 1}],
    )


def precision_recall(evaluation: Evaluation) -> alt.LayerChart | None:
    """Precision over recall with the operating point; None where a class is missing."""
    ranked = ranking.rank(evaluation.sample)
    if np.isnan(metrics.auc(ranked)):
        return None
    fakes = np.cumsum(ranked.fake[::-1])
    called = fakes + np.cumsum(ranked.real[::-1])
    recall, precision = fakes / fakes[-1], fakes / called
    kept = _thinned(recall, precision)
    rows = [
        {"recall": x, "precision": y, "level": _level(level)}
        for x, y, level in zip(
            recall[kept].tolist(),
            precision[kept].tolist(),
            ranked.levels[::-1][kept].tolist(),
            strict=True,
        )
    ]
    point = None
    if evaluation.threshold is not None:
        at = evaluation.estimates[f"{VIDEOS}/precision"].value
        if at is not None:
            point = {
                "recall": evaluation.estimates[f"{VIDEOS}/recall"].value,
                "precision": at,
                "level": _level(evaluation.threshold.value),
            }
    share = float(evaluation.sample.fake.mean())
    return _curve(
        "Precision over recall",
        rows,
        point,
        ("recall", "fakes called fake (recall)"),
        ("precision", "fake, of those called fake"),
        [{"recall": 0, "precision": share}, {"recall": 1, "precision": share}],
    )


def distributions(evaluation: Evaluation) -> alt.LayerChart | None:
    """Scores of reals and of fakes, and the threshold; None without a score."""
    sample = evaluation.sample
    finite = np.isfinite(sample.score)
    if not finite.any():
        return None
    threshold, title = evaluation.threshold, SCORES[evaluation.score]
    return video_charts.distributions(
        {
            "real": sample.score[finite & ~sample.fake],
            "fake": sample.score[finite & sample.fake],
        },
        220,
        f"Distribution of the {title} of real and of fake videos, and the threshold",
        title,
        marks={} if threshold is None else {"threshold": threshold.value},
    )


def reliability(evaluation: Evaluation) -> alt.LayerChart | None:
    """How often videos are fake over how probable that was said to be."""
    threshold = evaluation.threshold
    sample = evaluation.sample
    if threshold is None or threshold.calibration is None:
        return None
    if not np.isfinite(sample.score).all():
        return None
    ranked = ranking.rank(sample)
    said, found, count = metrics.reliability(
        ranked, threshold.calibration(ranked.levels)
    )
    rows = [
        {"said": s, "found": f, "count": c}
        for s, f, c in zip(said.tolist(), found.tolist(), count.tolist(), strict=True)
        if c
    ]
    x = alt.X("said:Q", title="said probability of fake", scale=RATE)
    y = alt.Y("found:Q", title="share that is fake", scale=RATE)
    x, y = x.axis(tickCount=5), y.axis(tickCount=5)
    points = (
        alt.Chart(data(rows))
        .mark_point(filled=True, color=FAKE, opacity=1)
        .encode(
            x,
            y,
            alt.Size("count:Q", legend=None).scale(range=[40, 300]),
            tooltip=[
                alt.Tooltip("said:Q", format=".2f"),
                alt.Tooltip("found:Q", title="fake", format=".2f"),
                alt.Tooltip("count:Q", title="videos"),
            ],
        )
    )
    return layered(
        _HEIGHT,
        "Reliability: share of fakes over the probability that was said",
        _line([{"said": 0, "found": 0}, {"said": 1, "found": 1}], x, y, dashed=True),
        _line(rows, x, y, width=1.5),
        points,
    )


def subsets(evaluation: Evaluation, names: Iterable[str]) -> alt.LayerChart | None:
    """AUC and its interval of each part of the videos."""
    rows = []
    for name in names:
        estimate = evaluation.estimates[f"{name}/auc"]
        if estimate.value is None:
            continue
        low, high = estimate.interval or (estimate.value, estimate.value)
        rows.append(
            {"part": part_title(name), "auc": estimate.value, "low": low, "high": high}
        )
    if not rows:
        return None
    auc = alt.X("auc:Q", title=_AUC, scale=RATE).axis(tickCount=5)
    part = alt.Y("part:N", title=None, sort=None).axis(labelLimit=220)
    tooltip = ["part:N", *_BOUNDS]
    base = alt.Chart(data(rows))
    chance = (
        alt.Chart(data([{"auc": 0.5}]))
        .mark_rule(color=INK, strokeDash=[2, 3])
        .encode(auc)
    )
    return layered(
        24 * len(rows) + 10,
        "AUC of each part of the videos, with its interval",
        chance,
        base.mark_rule(color=REAL, strokeWidth=2.5).encode(
            alt.X("low:Q", title=_AUC, scale=RATE),
            alt.X2("high"),
            part,
            tooltip=tooltip,
        ),
        base.mark_point(filled=True, size=90, color=REAL, opacity=1).encode(
            auc, part, tooltip=tooltip
        ),
    )


def epochs(result: Epochs) -> alt.LayerChart | None:
    """AUC after each epoch with its interval; None where there is none."""
    rows = []
    for epoch in result.by_epoch:
        auc = result.auc(epoch)
        if auc.value is not None:
            low, high = auc.interval or (auc.value, auc.value)
            rows.append({"epoch": epoch, "auc": auc.value, "low": low, "high": high})
    if not rows:
        return None
    x = (
        alt.X("epoch:Q", title="epoch")
        .scale(nice=False)
        .axis(tickMinStep=1, format="d")
    )
    scale = alt.Scale(zero=False, nice=True)
    base = alt.Chart(data(rows)).encode(x)
    return layered(
        _HEIGHT,
        "AUC after each epoch, with its interval",
        base.mark_area(color=REAL, opacity=0.2).encode(
            alt.Y("low:Q", title=_AUC, scale=scale), alt.Y2("high")
        ),
        base.mark_line(
            color=REAL, point=alt.OverlayMarkDef(filled=True, size=60, color=REAL)
        ).encode(
            alt.Y("auc:Q", title=_AUC, scale=scale).axis(tickCount=5),
            tooltip=["epoch:Q", *_BOUNDS],
        ),
    )


def part_title(name: str) -> str:
    """What to call a part of the videos, such as `all` or `lip_sync`."""
    part = name.partition("/")[2]
    return part.removeprefix("manipulation=") or "all"


def scatter(comparison: Comparison) -> alt.LayerChart:
    """Score of each video by both detectors; those they disagree about stand out."""
    disagreed = comparison.disagreed
    agreed = np.setdiff1d(np.arange(len(comparison.videos)), disagreed)
    if len(agreed) > _MAX_AGREED:
        even = np.linspace(0, len(agreed) - 1, _MAX_AGREED).astype(int)
        agreed = agreed[even]
    rows = []
    shown = [(row, "disagree") for row in disagreed[:_MAX_AGREED].tolist()]
    shown += [(row, "agree") for row in agreed.tolist()]
    for row, verdicts in shown:
        first, second = comparison.scores[:, row].tolist()
        rows.append(
            {
                "video": comparison.videos.video_id[row],
                "is": spec.LABEL_WORDS[int(comparison.videos.label[row])],
                "first": first,
                "second": second,
                "verdicts": verdicts,
            }
        )
    first, second = comparison.names
    scale = alt.Scale(zero=False)
    stands_out = alt.datum.verdicts == "disagree"
    points = (
        alt.Chart(data(rows))
        .mark_point(filled=True)
        .encode(
            alt.X("first:Q", title=f"score of {first}", scale=scale),
            alt.Y("second:Q", title=f"score of {second}", scale=scale),
            alt.Color("is:N", scale=CLASSES).legend(orient="top", title=None),
            alt.Shape("is:N")
            .scale(domain=["real", "fake"], range=["circle", "cross"])
            .legend(orient="top", title=None),
            opacity=alt.when(stands_out).then(alt.value(1)).otherwise(alt.value(0.25)),
            size=alt.when(stands_out).then(alt.value(80)).otherwise(alt.value(30)),
            tooltip=[
                alt.Tooltip("video:N"),
                alt.Tooltip("is:N"),
                alt.Tooltip("first:Q", title=first, format=".3f"),
                alt.Tooltip("second:Q", title=second, format=".3f"),
                alt.Tooltip("verdicts:N"),
            ],
        )
    )
    levels = [
        marked_line(axis, level, f"level of {name}", scale)
        for axis, level, name in zip(
            "xy", comparison.levels, comparison.names, strict=True
        )
    ]
    return layered(
        420,
        "Score of each video by both detectors",
        points,
        *levels,
    )


def confusion(evaluation: Evaluation) -> alt.LayerChart | None:
    """What was called what at the threshold; None without one."""
    if evaluation.threshold is None:
        return None
    rows = []
    for word in ("real", "fake"):
        counts = {
            called: evaluation.estimates[f"{VIDEOS}/{word}s_called_{called}"].value or 0
            for called in ("real", "fake")
        }
        total = max(sum(counts.values()), 1)
        rows += [
            {
                "is": f"is {word}",
                "called": f"called {called}",
                "share": count / total,
                "text": f"{count} ({count / total:.0%})",
            }
            for called, count in counts.items()
        ]
    base = alt.Chart(data(rows)).encode(
        alt.X("called:N", title=None, sort=None).axis(labelAngle=0, orient="top"),
        alt.Y("is:N", title=None, sort=None),
    )
    dark = alt.datum.share > 0.5
    return layered(
        _HEIGHT,
        "Verdicts at the threshold",
        base.mark_rect().encode(
            alt.Color("share:Q", legend=None).scale(domain=[0, 1], scheme="blues")
        ),
        base.mark_text(fontSize=15).encode(
            text="text:N",
            color=alt.when(dark).then(alt.value("white")).otherwise(alt.value("black")),
        ),
    )


def picture(evaluation: Evaluation) -> bytes:
    """An evaluation as a PNG: ROC, distributions of the scores, and verdicts."""
    drawn = {
        "ROC, videos": roc(evaluation),
        "Score distributions": distributions(evaluation),
        "Verdicts": confusion(evaluation),
    }
    side_by_side = [
        chart.properties(title=title, width=_HEIGHT, height=_HEIGHT)
        for title, chart in drawn.items()
        if chart is not None
    ]
    return charts.to_png(
        alt.hconcat(*side_by_side, title=evaluation.summary).resolve_scale(
            color="independent"
        )
    )


_AUC = "AUC, with its 95 % interval"
_BOUNDS = [alt.Tooltip(f"{name}:Q", format=".3f") for name in ("auc", "low", "high")]


def _curve(
    description: str,
    rows: Sequence[Row],
    point: Row | None,
    x_name: tuple[str, str],
    y_name: tuple[str, str],
    chance: Sequence[Row],
) -> alt.LayerChart:
    x = alt.X(f"{x_name[0]}:Q", title=x_name[1], scale=RATE).axis(tickCount=5)
    y = alt.Y(f"{y_name[0]}:Q", title=y_name[1], scale=RATE).axis(tickCount=5)
    tooltip = [
        *(alt.Tooltip(f"{f}:Q", title=t, format=".3f") for f, t in (x_name, y_name)),
        alt.Tooltip("level:N", title="at the threshold"),
    ]

    def points(some: Sequence[Row], **style: Any) -> alt.Chart:
        drawn = alt.Chart(data(some)).mark_point(filled=True, **style)
        return drawn.encode(x, y, tooltip=tooltip)

    return layered(
        _HEIGHT,
        description,
        _line(chance, x, y, dashed=True),
        _line(rows, x, y, width=2),
        # Points one can hit with the pointer, seen only there.
        points(rows, size=60, opacity=0),
        points([point], size=130, color=FAKE, opacity=1, clip=False) if point else None,
    )


def _line(
    rows: Sequence[Row], x: alt.X, y: alt.Y, *, width: float = 1, dashed: bool = False
) -> alt.Chart:
    style: dict[str, Any] = {
        "strokeWidth": width,
        "strokeDash": [3, 4] if dashed else [1, 0],
    }
    # In the order of the rows: a ROC has upright steps.
    numbered = [{**row, "number": number} for number, row in enumerate(rows)]
    return (
        alt.Chart(data(numbered))
        .mark_line(color=INK, tooltip=None, **style)
        .encode(x, y, order="number:Q")
    )


def _thinned(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Points to keep: the corners, and of too many an even choice."""
    level_x, level_y = np.diff(x) == 0, np.diff(y) == 0
    corner = np.ones(len(x), bool)
    corner[1:-1] = ~(level_x[1:] & level_x[:-1] | level_y[1:] & level_y[:-1])
    kept = np.flatnonzero(corner)
    if len(kept) > _MAX_POINTS:
        kept = kept[np.linspace(0, len(kept) - 1, _MAX_POINTS).astype(int)]
    return kept


def _level(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "none called"
