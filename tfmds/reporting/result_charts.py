"""Charts of an evaluation and of a comparison, as Vega-Lite specifications."""

from collections.abc import Iterable

import numpy as np

from tfmds import spec
from tfmds.evaluation import metrics, ranking
from tfmds.evaluation.comparison import Comparison
from tfmds.evaluation.epochs import Epochs
from tfmds.evaluation.evaluation import VIDEOS, Evaluation
from tfmds.reporting import video_charts
from tfmds.reporting.video_charts import (
    CLASSES,
    FAKE,
    INK,
    REAL,
    Chart,
    layered,
    marked_line,
)

# A line of more points looks the same and weighs more.
_MAX_POINTS = 400
# A scatter shows so many of the videos that are agreed upon.
_MAX_AGREED = 1500
_HEIGHT = 300
_SHARE = {"type": "quantitative", "scale": {"domain": [0, 1], "nice": False}}


def roc(evaluation: Evaluation) -> Chart | None:
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


def precision_recall(evaluation: Evaluation) -> Chart | None:
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


def distributions(evaluation: Evaluation) -> Chart | None:
    """MDS of reals and of fakes, and the threshold; None without a score."""
    sample = evaluation.sample
    finite = np.isfinite(sample.score)
    if not finite.any():
        return None
    threshold = evaluation.threshold
    return video_charts.distributions(
        {
            "real": sample.score[finite & ~sample.fake],
            "fake": sample.score[finite & sample.fake],
        },
        220,
        "Distribution of the MDS of real and of fake videos, and the threshold",
        marks={} if threshold is None else {"threshold": threshold.value},
    )


def reliability(evaluation: Evaluation) -> Chart | None:
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
    x = _axis("said", "said probability of fake", _SHARE)
    y = _axis("found", "share that is fake", _SHARE)
    return layered(
        _HEIGHT,
        "Reliability: share of fakes over the probability that was said",
        _line(
            [{"said": 0, "found": 0}, {"said": 1, "found": 1}], x, y, dash=True, thin=1
        ),
        _line(rows, x, y, thin=1.5),
        {
            "data": {"values": rows},
            "mark": {"type": "point", "filled": True, "color": FAKE, "opacity": 1},
            "encoding": {
                "x": x,
                "y": y,
                "size": {
                    "field": "count",
                    "type": "quantitative",
                    "legend": None,
                    "scale": {"range": [40, 300]},
                },
                "tooltip": [
                    {"field": "said", "title": "said", "format": ".2f"},
                    {"field": "found", "title": "fake", "format": ".2f"},
                    {"field": "count", "title": "videos"},
                ],
            },
        },
    )


def subsets(evaluation: Evaluation, names: Iterable[str]) -> Chart | None:
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
    x = _axis(
        "auc",
        "AUC, with its 95 % interval",
        {"type": "quantitative", "scale": {"domain": [0, 1], "nice": False}},
    )
    y = {
        "field": "part",
        "type": "nominal",
        "sort": None,
        "axis": {"title": None, "labelLimit": 220},
    }
    tooltip = [
        {"field": "part"},
        *({"field": f, "format": ".3f"} for f in ("auc", "low", "high")),
    ]
    return layered(
        24 * len(rows) + 10,
        "AUC of each part of the videos, with its interval",
        {
            "data": {"values": [{"auc": 0.5}]},
            "mark": {"type": "rule", "color": INK, "strokeDash": [2, 3]},
            "encoding": {"x": x},
        },
        {
            "data": {"values": rows},
            "mark": {"type": "rule", "color": REAL, "strokeWidth": 2.5},
            "encoding": {
                "y": y,
                "x": {**x, "field": "low"},
                "x2": {"field": "high"},
                "tooltip": tooltip,
            },
        },
        {
            "data": {"values": rows},
            "mark": {
                "type": "point",
                "filled": True,
                "size": 90,
                "color": REAL,
                "opacity": 1,
            },
            "encoding": {"y": y, "x": x, "tooltip": tooltip},
        },
    )


def epochs(result: Epochs) -> Chart | None:
    """AUC after each epoch with its interval; None where there is none."""
    rows = []
    for epoch in result.by_epoch:
        auc = result.auc(epoch)
        if auc.value is not None:
            low, high = auc.interval or (auc.value, auc.value)
            rows.append({"epoch": epoch, "auc": auc.value, "low": low, "high": high})
    if not rows:
        return None
    x = {
        "field": "epoch",
        "type": "quantitative",
        "scale": {"nice": False},
        "axis": {"title": "epoch", "tickMinStep": 1, "format": "d"},
    }
    y = _axis(
        "auc",
        "AUC, with its 95 % interval",
        {"type": "quantitative", "scale": {"zero": False, "nice": True}},
    )
    tooltip = [
        {"field": "epoch"},
        *({"field": f, "format": ".3f"} for f in ("auc", "low", "high")),
    ]
    return layered(
        _HEIGHT,
        "AUC after each epoch, with its interval",
        {
            "data": {"values": rows},
            "mark": {"type": "area", "color": REAL, "opacity": 0.2},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {
            "data": {"values": rows},
            "mark": {
                "type": "line",
                "color": REAL,
                "point": {"filled": True, "size": 60, "color": REAL},
            },
            "encoding": {"x": x, "y": y, "tooltip": tooltip},
        },
    )


def part_title(name: str) -> str:
    """What to call a part of the videos, such as `all` or `lip_sync`."""
    part = name.partition("/")[2]
    return part.removeprefix("manipulation=") or "all"


def scatter(comparison: Comparison) -> Chart:
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
    names = comparison.names
    x, y = (
        {
            "field": field,
            "type": "quantitative",
            "scale": {"zero": False},
            "axis": {"title": f"score of {name}"},
        }
        for field, name in zip(("first", "second"), names, strict=True)
    )
    x_level, y_level = comparison.levels
    return layered(
        420,
        "Score of each video by both detectors",
        {
            "data": {"values": rows},
            "mark": {"type": "point", "filled": True},
            "encoding": {
                "x": x,
                "y": y,
                "color": {
                    "field": "is",
                    "type": "nominal",
                    "scale": CLASSES,
                    "legend": {"orient": "top"},
                },
                "shape": {
                    "field": "is",
                    "type": "nominal",
                    "scale": {"domain": ["real", "fake"], "range": ["circle", "cross"]},
                    "legend": {"orient": "top"},
                },
                "opacity": {
                    "condition": {"test": "datum.verdicts == 'disagree'", "value": 1},
                    "value": 0.25,
                },
                "size": {
                    "condition": {"test": "datum.verdicts == 'disagree'", "value": 80},
                    "value": 30,
                },
                "tooltip": [
                    {"field": "video"},
                    {"field": "is"},
                    {"field": "first", "title": names[0], "format": ".3f"},
                    {"field": "second", "title": names[1], "format": ".3f"},
                    {"field": "verdicts"},
                ],
            },
        },
        *marked_line("x", x_level, f"level of {names[0]}", _without(x)),
        *marked_line("y", y_level, f"level of {names[1]}", _without(y)),
    )


def _without(encoding: Chart) -> Chart:
    return {key: value for key, value in encoding.items() if key != "field"}


def _curve(
    description: str,
    rows: list[Chart],
    point: Chart | None,
    x_name: tuple[str, str],
    y_name: tuple[str, str],
    chance: list[Chart],
) -> Chart:
    x, y = _axis(*x_name, _SHARE), _axis(*y_name, _SHARE)
    tooltip = [
        {"field": x_name[0], "title": x_name[1], "format": ".3f"},
        {"field": y_name[0], "title": y_name[1], "format": ".3f"},
        {"field": "level", "title": "at the threshold"},
    ]
    layers = [_line(chance, x, y, dash=True, thin=1), _line(rows, x, y, thin=2)]
    # Points one can hit with the pointer, seen only there.
    layers.append(
        {
            "data": {"values": rows},
            "mark": {"type": "point", "filled": True, "size": 60, "opacity": 0},
            "encoding": {"x": x, "y": y, "tooltip": tooltip},
        }
    )
    if point is not None:
        layers.append(
            {
                "data": {"values": [point]},
                "mark": {
                    "type": "point",
                    "filled": True,
                    "size": 130,
                    "color": FAKE,
                    "opacity": 1,
                    "clip": False,
                },
                "encoding": {"x": x, "y": y, "tooltip": tooltip},
            }
        )
    return layered(_HEIGHT, description, *layers)


def _line(
    rows: list[Chart], x: Chart, y: Chart, *, thin: float, dash: bool = False
) -> Chart:
    return {
        "data": {"values": rows},
        "mark": {
            "type": "line",
            "color": INK,
            "strokeWidth": thin,
            "strokeDash": [3, 4] if dash else [1, 0],
            "tooltip": None,
        },
        "encoding": {
            "x": x,
            "y": y,
            # In the order of the rows: a ROC has upright steps.
            "order": {"value": None},
        },
    }


def _axis(field: str, title: str, kind: Chart) -> Chart:
    return {"field": field, **kind, "axis": {"title": title, "tickCount": 5}}


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
