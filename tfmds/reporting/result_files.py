"""What evaluations and comparisons leave: JSON files, pictures and pages."""

import os
from collections.abc import Mapping
from typing import Any

from etils import epath

from tfmds.common import files
from tfmds.common.provenance import versions
from tfmds.evaluation.comparison import Comparison
from tfmds.evaluation.epochs import Epochs
from tfmds.evaluation.evaluation import Evaluation
from tfmds.reporting import result_charts, result_pages

METRICS_FILE = "metrics.json"
PICTURE_FILE = "evaluation.png"
REPORT_FILE = "index.html"
COMPARISON_FILE = "comparison.json"
COMPARISON_PAGE_FILE = "comparison.html"
EPOCHS_FILE = "epochs.json"
EPOCHS_PAGE_FILE = "epochs.html"

worst_mistakes = result_pages.worst_mistakes


def write_evaluation(
    result: Evaluation,
    output_dir: os.PathLike | str,
    scores: str,
    draws: int,
    seed: int,
) -> list[epath.Path]:
    """Writes the figures and the picture.

    Args:
      result: The evaluation.
      output_dir: Where they go.
      scores: Path of the table of scores.
      draws: Draws of its intervals.
      seed: Seed of the draws.

    Returns:
      Paths of what was written.
    """
    provenance = {
        "scores": scores,
        "scores_digest": files.digest(scores),
        "draws": draws,
        "seed": seed,
    }
    folder = epath.Path(output_dir)
    files.write_json(folder / METRICS_FILE, result.to_json() | provenance)
    files.write_bytes(folder / PICTURE_FILE, result_charts.picture(result))
    return [folder / METRICS_FILE, folder / PICTURE_FILE]


def write_evaluation_page(
    result: Evaluation,
    folder: os.PathLike | str,
    scores: str,
    faces: Mapping[str, Any],
    provenance: Mapping[str, str | None],
) -> epath.Path:
    """Writes a page to send.

    Args:
      result: The evaluation.
      folder: Where it goes.
      scores: Path of the table of scores.
      faces: Faces of videos that were judged wrongly, see `stored_faces.read`.
      provenance: How the result was made, rows without a value are left out.

    Returns:
      Path of the page.
    """
    rows = {
        **provenance,
        "score file": f"{scores} ({files.digest(scores)})",
        "versions": versions("numpy", "scipy", "scikit-learn"),
    }
    page = result_pages.evaluation_page(
        result,
        where=scores,
        faces=faces,
        provenance={name: str(value) for name, value in rows.items() if value},
    )
    path = epath.Path(folder) / REPORT_FILE
    files.write_text(path, page)
    return path


def write_comparison(
    result: Comparison,
    output_dir: os.PathLike | str,
    paths: tuple[str, str],
    provenance: Mapping[str, Any],
) -> list[epath.Path]:
    """Writes a comparison and its page; returns their paths.

    Args:
      result: The comparison.
      output_dir: Where they go.
      paths: The two tables of scores.
      provenance: `command`, `draws` and `seed`.
    """
    digests = {path: files.digest(path) for path in paths}
    folder = epath.Path(output_dir)
    made = {"scores": digests, "draws": provenance["draws"], "seed": provenance["seed"]}
    files.write_json(folder / COMPARISON_FILE, result.to_json() | made)
    rows = {"command": provenance["command"], **digests, **_intervals(provenance)}
    page = result_pages.comparison_page(result, rows)
    files.write_text(folder / COMPARISON_PAGE_FILE, page)
    return [folder / COMPARISON_FILE, folder / COMPARISON_PAGE_FILE]


def write_epochs(
    result: Epochs,
    output_dir: os.PathLike | str,
    run: str,
    provenance: Mapping[str, Any],
) -> list[epath.Path]:
    """Writes figures of a run's epochs and their page; returns their paths.

    Args:
      result: The epochs.
      output_dir: Where they go.
      run: The run, for the title.
      provenance: `command`, `draws` and `seed`.
    """
    folder = epath.Path(output_dir)
    rows = {"command": provenance["command"], **_intervals(provenance)}
    files.write_json(folder / EPOCHS_FILE, result.to_json() | rows)
    page = result_pages.epochs_page(result, run, rows)
    files.write_text(folder / EPOCHS_PAGE_FILE, page)
    return [folder / EPOCHS_FILE, folder / EPOCHS_PAGE_FILE]


def _intervals(provenance: Mapping[str, Any]) -> dict[str, str]:
    return {
        "intervals": f"{provenance['draws']} draws of groups, seed {provenance['seed']}"
    }
