"""The pages of an evaluation and of a comparison: one self-contained HTML file each."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmds import spec
from tfmds.evaluation import localization, localization_metrics, metrics
from tfmds.evaluation.comparison import Comparison
from tfmds.evaluation.epochs import Epochs
from tfmds.evaluation.evaluation import ALL, CHUNKS, LOCALIZATION, VIDEOS, Evaluation
from tfmds.evaluation.scores import SCORES, VideoScores
from tfmds.judgement.judgement import VideoJudgement
from tfmds.judgement.seen import JudgedChunk
from tfmds.reporting import result_charts, video_page

# Faces of a video by track and time in seconds, as JPEG.
Faces = Mapping[str, Mapping[tuple[int, float], bytes]]

_COLUMNS = (metrics.KEY, metrics.COLUMN)
# Of each kind of mistake so many are shown.
_MAX_MISTAKES = 4
_MAX_TRACKS = 2
_MAX_FACES = 16
# Chunks of a chart: a longer video is shown from its start.
_MAX_CHUNKS = 300
_MAX_ROWS = 5000
_MAX_DISAGREED = 1000


def evaluation_page(
    evaluation: Evaluation,
    *,
    where: str = "",
    faces: Faces | None = None,
    provenance: Mapping[str, str] | None = None,
) -> str:
    """Renders the page of a data set.

    Args:
      evaluation: The result.
      where: The score file.
      faces: Of the videos that `worst_mistakes` names; without them there are no
        strips.
      provenance: How it was made, as rows of a table.
    """
    names = [
        name.removesuffix("/auc")
        for name in evaluation.estimates
        if name.startswith(f"{VIDEOS}/") and name.endswith("/auc")
    ]
    drawn = {
        "roc": result_charts.roc(evaluation),
        "precision-recall": result_charts.precision_recall(evaluation),
        "distributions": result_charts.distributions(evaluation),
        "parts-auc": result_charts.subsets(evaluation, names),
        "reliability": result_charts.reliability(evaluation),
    }
    mistakes = [
        _mistake(evaluation, row, number, faces or {})
        for number, row in enumerate(_mistaken_rows(evaluation))
    ]
    for mistake in mistakes:
        drawn |= {track["id"]: track["chart"] for track in mistake["tracks"]}
    rows, left_out_rows = _rows(evaluation)
    estimates = evaluation.estimates
    found = {
        title: estimates[f"{LOCALIZATION}/{name}"]
        for name, title in localization_metrics.TITLES.items()
        if f"{LOCALIZATION}/{name}" in estimates
    }
    if found:
        found["AUC of chunks"] = estimates[f"{CHUNKS}/auc"]
    return video_page.render(
        "evaluation.html",
        evaluation=evaluation,
        where=where,
        headline=metrics.titled(estimates, VIDEOS, _COLUMNS),
        further=metrics.titled(
            estimates,
            VIDEOS,
            (metrics.LISTED,),
            of=(metrics.RANKING, metrics.AT_THRESHOLD),
        ),
        confusion=_confusion(evaluation),
        parts=[_part(evaluation, name) for name in names],
        heads={
            stream: [
                _part(evaluation, name.removesuffix("/auc"))
                for name in evaluation.estimates
                if name.startswith(f"{stream}/") and name.endswith("/auc")
            ]
            for stream in spec.STREAMS
            if f"{stream}/auc" in evaluation.estimates
        },
        score=SCORES[evaluation.score],
        calibration=metrics.titled(estimates, VIDEOS, of=(metrics.OF_PROBABILITY,)),
        no_calibration=(
            "no threshold with a calibration was given"
            if evaluation.threshold is None or not evaluation.threshold.calibration
            else "videos without a score count as wrong here, and have none"
        ),
        periods=estimates.get(f"{LOCALIZATION}/periods"),
        localization=found,
        no_localization=_why_not_localized(evaluation),
        mistakes=mistakes,
        row_columns=_row_columns(evaluation),
        rows=rows,
        left_out_rows=left_out_rows,
        charts=drawn,
        provenance=provenance or {},
    )


def comparison_page(
    comparison: Comparison, provenance: Mapping[str, str] | None = None
) -> str:
    """Renders the page of two detectors.

    Args:
      comparison: The result.
      provenance: How it was made, as rows of a table.
    """
    disagreed = comparison.disagreed
    first, second = comparison.names
    return video_page.render(
        "comparison.html",
        comparison=comparison,
        disagreed=[comparison.video_to_json(r) for r in disagreed[:_MAX_DISAGREED]],
        more=max(len(disagreed) - _MAX_DISAGREED, 0),
        columns=(
            *("video", "is", "manipulation"),
            *(first, "called"),
            *(second, "called"),
        ),
        charts={"scatter": result_charts.scatter(comparison)},
        provenance=provenance or {},
    )


def epochs_page(
    epochs: Epochs, where: str, provenance: Mapping[str, str] | None = None
) -> str:
    """Renders the page of a run's epochs.

    Args:
      epochs: Their evaluations.
      where: The run.
      provenance: How it was made, as rows of a table.
    """
    by_epoch = {
        epoch: metrics.titled(result.estimates, VIDEOS, _COLUMNS)
        for epoch, result in epochs.by_epoch.items()
    }
    return video_page.render(
        "epochs.html",
        epochs=epochs,
        where=where,
        columns=("epoch", *next(iter(by_epoch.values()))),
        rows=[(epoch, *figures.values()) for epoch, figures in by_epoch.items()],
        charts={"epochs": result_charts.epochs(epochs)},
        provenance=provenance or {},
    )


def worst_mistakes(evaluation: Evaluation) -> list[str]:
    """The video_id of each video that the page shows as a mistake."""
    return [str(evaluation.videos.video_id[row]) for row in _mistaken_rows(evaluation)]


def _mistaken_rows(evaluation: Evaluation) -> list[int]:
    """Fakes furthest below the threshold and reals furthest above, in turn."""
    if evaluation.threshold is None:
        return []
    sample, tau = evaluation.sample, evaluation.threshold.value
    wrong = (sample.score >= tau) != sample.fake
    wrong &= evaluation.videos.scored
    by_class = []
    for mask in (sample.fake, ~sample.fake):
        rows = np.flatnonzero(wrong & mask)
        order = np.argsort(-np.abs(sample.score[rows] - tau), kind="stable")
        by_class.append(rows[order][:_MAX_MISTAKES].tolist())
    return [*by_class[0], *by_class[1]]


def _mistake(
    evaluation: Evaluation, row: int, number: int, faces: Faces
) -> dict[str, Any]:
    videos = evaluation.videos
    name = str(videos.video_id[row])
    forged = videos.fake_periods[row]
    called = "real" if videos.label[row] == spec.FAKE else "fake"
    shown = {
        "video_id": name,
        "label": spec.LABEL_WORDS[int(videos.label[row])],
        "manipulation": videos.manipulation[row],
        "called": called,
        "value": float(videos.values(evaluation.score)[row]),
        "forged": forged,
        "tracks": [],
    }
    judgement = _judgement(evaluation, row, faces.get(name, {}))
    if judgement is None:
        return shown
    for track in judgement.tracks[:_MAX_TRACKS]:
        strip = video_page.track_strip(judgement, track, _MAX_FACES, forged)
        shown["tracks"].append(strip | {"id": f"mistake-{number}-{track}"})
    return shown


def _judgement(
    evaluation: Evaluation, row: int, faces: Mapping[tuple[int, float], bytes]
) -> VideoJudgement | None:
    videos, chunks = evaluation.videos, evaluation.chunks
    if chunks is None or evaluation.threshold is None:
        return None
    mine = chunks.select(chunks.video_id == videos.video_id[row])
    kept: list[JudgedChunk] = []
    ends: dict[int, float] = {}
    for track, start, distance in zip(
        mine.track.tolist(),
        mine.start_seconds.tolist(),
        mine.distance.tolist(),
        strict=True,
    ):
        # Of chunks that overlap only those that follow on each other are drawn.
        if start > ends.get(track, -np.inf) - 0.01 and len(kept) < _MAX_CHUNKS:
            ends[track] = start + 1
            face = faces.get((track, round(start, 1)), b"")
            kept.append(JudgedChunk(track, start, distance, face))
    if not kept:
        return None
    seconds = float(videos.seconds[row])
    return VideoJudgement(
        path=str(videos.video_id[row]),
        status=spec.OK,
        threshold=dataclasses.replace(evaluation.threshold, localizer=None),
        chunks=tuple(kept),
        seconds_total=None if np.isnan(seconds) else seconds,
    )


def _part(evaluation: Evaluation, name: str) -> dict[str, Any]:
    return {
        "title": result_charts.part_title(name),
        "fakes": evaluation.estimates[f"{name}/fakes"],
        "reals": evaluation.estimates[f"{name}/reals"],
        "figures": metrics.titled(evaluation.estimates, name, _COLUMNS),
    }


def _confusion(evaluation: Evaluation) -> dict[str, list[dict[str, Any]]]:
    if evaluation.threshold is None:
        return {}
    table = {}
    for word in ("real", "fake"):
        counts = {
            called: evaluation.estimates[f"{VIDEOS}/{word}s_called_{called}"].value or 0
            for called in ("real", "fake")
        }
        total = sum(counts.values())
        table[word] = [
            {
                "count": count,
                "share": f"({count / total:.0%})" if total else "",
                "right": called == word or not count,
            }
            for called, count in counts.items()
        ]
    return table


def _why_not_localized(evaluation: Evaluation) -> str:
    if not localization.has_periods(evaluation.videos):
        return "no video is known to be forged in a part only (fake_periods)"
    if evaluation.chunks is None:
        return "there is no chunks.csv beside the score file"
    return "the threshold has no levels for localization"


def _row_columns(evaluation: Evaluation) -> list[str]:
    split = ["split"] if evaluation.split == ALL else []
    verdict = ["called", "verdict"] if evaluation.threshold is not None else []
    columns = ["video", "is", "manipulation", *split, "group", "status", "chunks"]
    return [*columns, SCORES[evaluation.score], *verdict]


def _rows(
    evaluation: Evaluation,
) -> tuple[list[list[str | dict[str, Any]]], int]:
    """The rows of the table, the furthest on the wrong side first."""
    sample, threshold = evaluation.sample, evaluation.threshold
    middle = float(np.median(sample.score)) if threshold is None else threshold.value
    wrongness = np.where(sample.fake, middle - sample.score, sample.score - middle)
    order = np.argsort(-wrongness, kind="stable")
    rows = [
        _row(evaluation, evaluation.videos, row) for row in order[:_MAX_ROWS].tolist()
    ]
    left_out = evaluation.left_out
    if left_out is not None:
        rest = range(min(len(left_out), _MAX_ROWS - len(rows)))
        rows += [_row(evaluation, left_out, row) for row in rest]
    total = len(order) + (len(left_out) if left_out is not None else 0)
    return rows, total - len(rows)


def _row(
    evaluation: Evaluation, videos: VideoScores, row: int
) -> list[str | dict[str, Any]]:
    threshold = evaluation.threshold
    value = float(videos.values(evaluation.score)[row])
    label = spec.LABEL_WORDS[int(videos.label[row])]
    cells: list[str | dict[str, Any]] = [
        str(videos.video_id[row]),
        label,
        str(videos.manipulation[row]),
    ]
    if evaluation.split == ALL:
        cells.append(str(videos.split[row]))
    count = int(videos.chunks[row])
    cells += [
        str(videos.group[row]),
        str(videos.status[row]),
        {"value": count, "text": str(count)},
        {"value": "", "text": ""}
        if np.isnan(value)
        else {"value": value, "text": f"{value:.3f}"},
    ]
    if threshold is not None:
        called = "" if np.isnan(value) else _called(value, threshold.value)
        verdict = "right" if called == label else "wrong" if called else "no verdict"
        cells += [called, verdict]
    return cells


def _called(score: float, threshold: float) -> str:
    return "fake" if score >= threshold else "real"
