"""Says how well scores tell fakes from reals, how surely, and on how many videos.

    python -m tfmds.evaluate --scores=scores.csv --threshold=threshold.json \
      --split=test --output_dir=evaluation

    python -m tfmds.evaluate --model=RUN --data_dir=DATA --threshold=threshold.json \
      --split=test --output_dir=evaluation

Writes metrics.json and evaluation.png, and with --model also scores.csv and
chunks.csv. With --scores, a chunks.csv beside the file is evaluated too. Where fewer
than --min_coverage of the split's videos have a score there is an error instead of
figures; with --unscored=wrong such videos count as wrong.

--report=DIR writes a page to send, with faces where --data_dir is given too.

Scores of another detector have two columns, video,score, where a higher score means
more likely fake. What the videos are comes from --labels: a manifest, the videos.csv of
a data set or a scores.csv:

    python -m tfmds.evaluate --scores=other.csv --labels=manifest.csv \
      --split=test --output_dir=evaluation

The epochs of a training run are compared with

    python -m tfmds.evaluate --checkpoints=RUN --output_dir=epochs

from the scores that training left of its validation split; with --data_dir and --split
from the checkpoints of epochs that are kept (tfmds.train --keep_epochs). Writes
epochs.json and epochs.html.
"""

import dataclasses
import importlib.metadata
import sys

from absl import flags
from etils import epath

from tfmds import spec
from tfmds.common import app, files
from tfmds.common.errors import InputError
from tfmds.evaluation import epochs, evaluation, score_files, thresholds
from tfmds.reporting import tables

_SCORES = flags.DEFINE_string("scores", None, "Table of videos with their MDS.")
_MODEL = flags.DEFINE_string("model", None, "A run of tfmds.train to score with.")
_CHECKPOINTS = flags.DEFINE_string(
    "checkpoints", None, "A run of tfmds.train whose epochs to compare."
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Data set to score with --model, or to show faces of."
)
_LABELS = flags.DEFINE_string(
    "labels", None, "What the videos are, where --scores has two columns only."
)
_THRESHOLD = flags.DEFINE_string(
    "threshold", None, "threshold.json; without it there are no verdicts."
)
_SPLIT = flags.DEFINE_enum(
    "split",
    "test",
    (*spec.SPLITS, evaluation.ALL),
    "Split to evaluate; all for every one, with figures for each.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where the results go.", required=True
)
_REPORT = flags.DEFINE_string("report", None, "Folder for a page to send.")
_MIN_COVERAGE = flags.DEFINE_float(
    "min_coverage", 0.99, "Share of the videos that must have a score.", 0, 1
)
_UNSCORED = flags.DEFINE_enum(
    "unscored",
    evaluation.LEAVE_OUT,
    evaluation.UNSCORED,
    "Whether videos without a score are left out or count as wrong.",
)
_MISMATCHES = flags.DEFINE_bool(
    "mismatches",
    False,
    "Take real videos only, and make fakes of them: the voice of another video, and"
    " the own voice half a second early or late. The easy kind; for want of others.",
)
_HOP = flags.DEFINE_float(
    "hop", 1.0, "Seconds from one chunk to the next, a multiple of 0.1; with --model."
)
_DRAWS = flags.DEFINE_integer(
    "draws", 1000, "Draws of groups for the intervals.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the draws.")

METRICS_FILE = "metrics.json"
PICTURE_FILE = "evaluation.png"
REPORT_FILE = "index.html"
EPOCHS_FILE = "epochs.json"
EPOCHS_PAGE_FILE = "epochs.html"


def main() -> None:
    """Reads or makes the scores, evaluates, writes and prints the result."""
    output_dir = epath.Path(_OUTPUT_DIR.value)
    if _CHECKPOINTS.value:
        _compare_epochs(output_dir)
        return
    threshold = thresholds.read(_THRESHOLD.value) if _THRESHOLD.value else None
    path = _scores(output_dir, threshold)
    videos, chunks, notes = score_files.read(path, _LABELS.value)
    result = evaluation.evaluate(
        videos,
        chunks,
        split=_SPLIT.value,
        threshold=threshold,
        min_coverage=_MIN_COVERAGE.value,
        unscored=_UNSCORED.value,
        num_draws=_DRAWS.value,
        seed=_SEED.value,
        where=str(path),
    )
    result = dataclasses.replace(result, notes=(*result.notes, *notes))
    # Matplotlib starts slowly: bad input is answered without it.
    from tfmds.reporting import plots

    provenance = {
        "scores": str(path),
        "scores_digest": files.digest(path),
        "draws": _DRAWS.value,
        "seed": _SEED.value,
    }
    files.write_json(output_dir / METRICS_FILE, result.to_json() | provenance)
    files.write_bytes(output_dir / PICTURE_FILE, plots.picture(result))
    print(tables.render(result), end="")
    written = [output_dir / METRICS_FILE, output_dir / PICTURE_FILE]
    if _REPORT.value:
        written.append(_write_report(result, provenance))
    print(f"written: {', '.join(map(str, written))}")


def _compare_epochs(output_dir: epath.Path) -> None:
    run = epath.Path(_CHECKPOINTS.value)
    if _SCORES.value or _MODEL.value or _REPORT.value or _THRESHOLD.value:
        raise InputError(
            "--checkpoints compares the epochs of a run; leave out --scores, --model,"
            " --threshold and --report"
        )
    folder, split = run / epochs.FOLDER, "validation"
    if _DATA_DIR.value:
        # TensorFlow starts in seconds: only who scores waits for it.
        from tfmds.scoring import scorer

        folder, split = output_dir, _SPLIT.value
        scorer.score_epochs(run, _DATA_DIR.value, split, output_dir)
    result = epochs.read(folder, split, num_draws=_DRAWS.value, seed=_SEED.value)
    from tfmds.reporting import result_pages

    provenance = {
        "command": f"python -m tfmds.evaluate {' '.join(sys.argv[1:])}",
        "intervals": f"{_DRAWS.value} draws of groups, seed {_SEED.value}",
    }
    page = result_pages.epochs_page(result, str(run), provenance)
    files.write_json(output_dir / EPOCHS_FILE, result.to_json() | provenance)
    files.write_text(output_dir / EPOCHS_PAGE_FILE, page)
    rows = [("epoch", "AUC")]
    rows += [(str(epoch), str(result.auc(epoch))) for epoch in result.by_epoch]
    print("\n".join([result.summary, "", *tables.align(rows)]))
    print(f"written: {output_dir / EPOCHS_FILE}, {output_dir / EPOCHS_PAGE_FILE}")


def _write_report(
    result: evaluation.Evaluation, provenance: dict[str, object]
) -> epath.Path:
    from tfmds.reporting import result_pages

    faces = {}
    mistakes = result_pages.worst_mistakes(result)
    if _DATA_DIR.value and mistakes:
        from tfmds.data import stored_faces

        splits = spec.SPLITS if result.split == evaluation.ALL else [result.split]
        faces = stored_faces.read(_DATA_DIR.value, splits, mistakes)
    threshold = result.threshold
    rows = {
        "command": f"python -m tfmds.evaluate {' '.join(sys.argv[1:])}",
        "score file": f"{provenance['scores']} ({provenance['scores_digest']})",
        "threshold": _THRESHOLD.value
        and f"{_THRESHOLD.value} ({files.digest(_THRESHOLD.value)})",
        "model": (threshold and threshold.model_id) or _MODEL.value,
        "intervals": f"{_DRAWS.value} draws of groups, seed {_SEED.value}",
        "versions": ", ".join(
            f"{name} {importlib.metadata.version(name)}"
            for name in ("tfmds", "numpy", "scipy", "scikit-learn")
        ),
    }
    page = result_pages.evaluation_page(
        result,
        where=str(provenance["scores"]),
        faces=faces,
        provenance={name: str(value) for name, value in rows.items() if value},
    )
    path = epath.Path(_REPORT.value) / REPORT_FILE
    files.write_text(path, page)
    return path


def _scores(
    output_dir: epath.Path, threshold: thresholds.Threshold | None
) -> epath.Path:
    if bool(_SCORES.value) == bool(_MODEL.value) or (
        _MODEL.value and not _DATA_DIR.value
    ):
        raise InputError(
            "expected either --scores=scores.csv or --model=RUN and --data_dir=DATA"
        )
    if _SCORES.value:
        return epath.Path(_SCORES.value)
    # TensorFlow starts in seconds: only who scores waits for it.
    from tfmds.scoring import scorer

    model_id = scorer.model_id(_MODEL.value)
    if threshold is not None and threshold.model_id not in ("", model_id):
        raise InputError(
            f"{_THRESHOLD.value}: the threshold was chosen for the model"
            f" {threshold.model_id}, and {_MODEL.value} is {model_id}; choose one for"
            " this model with python -m tfmds.select_threshold"
        )
    splits = spec.SPLITS if _SPLIT.value == evaluation.ALL else [_SPLIT.value]
    if _MISMATCHES.value:
        from tfmds.scoring import mismatches

        mismatches.score_data_set(_MODEL.value, _DATA_DIR.value, splits, output_dir)
    else:
        scorer.score_data_set(
            _MODEL.value, _DATA_DIR.value, splits, output_dir, hop_seconds=_HOP.value
        )
    return output_dir / score_files.VIDEOS_FILE


if __name__ == "__main__":
    app.run(main)
