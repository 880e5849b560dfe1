"""The figures of a job beside the published ones, and what differs."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.reproduction.steps import Folders
from tfmds import spec
from tfmds.common import files, flags, json_files
from tfmds.data.config import BatchConfig
from tfmds.data.data_set import DataSet
from tfmds.models import run_config
from tfmds.models.config import TwoStreamConfig
from tfmds.training.config import TrainingConfig

JSON_FILE = "published.json"
TEXT_FILE = "published.txt"


@dataclasses.dataclass(frozen=True)
class Figure:
    """An AUC that somebody reports.

    Attributes:
      who: Who reports it.
      data: On what.
      auc: The figure.
      interval: Of 95 %, None where none is reported.
      protocol: How it was measured.
    """

    who: str
    data: str
    auc: float
    interval: tuple[float, float] | None = None
    protocol: str = ""


_PAPER = "Chugh et al. 2020"
_REPRODUCTION = "public reproduction"
_LABELS = "AUC of verdicts, not of scores; no validation; originals on both sides"
PUBLISHED = (
    Figure(_PAPER, "DFDC, the authors' lists", 0.9055, None, "midpoint of training"),
    Figure(_PAPER, "DeepfakeTIMIT, low quality", 0.9792, None, "midpoint of training"),
    Figure(_PAPER, "DeepfakeTIMIT, high quality", 0.9687, None, "midpoint of training"),
    Figure(_REPRODUCTION, "DFDC, Kaggle's sample", 0.58, None, _LABELS),
    Figure("reproductions", "part of DFDC, contrastive loss alone", 0.49),
    Figure("reproductions", "part of DFDC, all three losses", 0.72),
    Figure("reproductions", "part of DFDC, no audio cross-entropy", 0.83),
)
# How many fakes the authors' lists name.
_LISTED = {"train": 15438, "test": 3281}

_CONFIGS = {
    "model": TwoStreamConfig,
    "batch": BatchConfig,
    "recipe": TrainingConfig,
}


def write(folders: Folders, layout: str, lists: bool, mismatches: bool = False) -> str:
    """Writes the table beside the evaluation's figures.

    Args:
      folders: Where the job's evaluation, data set and run are.
      layout: How the videos were laid out.
      lists: Whether the authors' lists chose the videos.
      mismatches: Whether the fakes of the test were mismatched voices.

    Returns:
      The table in words, for the terminal.
    """
    metrics = json_files.read(
        folders.test / "metrics.json", "metrics", "Evaluate again."
    )
    config = run_config.read(folders.run) or {}
    counts = videos(DataSet.load(folders.data))
    own = own_figures(metrics, f"{layout}, mismatched voices" if mismatches else layout)
    differing = differences(layout, lists, counts, config)
    if mismatches:
        differing.append(
            "data: fakes of the test are its real videos with other or shifted voices"
            " (--mismatches), which are easier than forgeries; the figures of others"
            " are of forgeries, and no match for them"
        )
    rows = [*own, *PUBLISHED]
    files.write_json(
        folders.test / JSON_FILE,
        {
            "figures": [dataclasses.asdict(row) for row in rows],
            "videos": counts,
            "differences": differing,
        },
    )
    text = table(rows) + "\nWhat differs from the paper:\n"
    text += "".join(f"  - {line}\n" for line in differing)
    files.write_text(folders.test / TEXT_FILE, text)
    return text


def videos(data: DataSet) -> dict[str, dict[str, int]]:
    """Usable videos by split and label."""
    counts = {split: dict.fromkeys(spec.LABELS, 0) for split in spec.SPLITS}
    for row in data.videos():
        if row.status == spec.OK and row.video.label:
            counts[row.video.split][row.video.label] += 1
    return counts


def own_figures(metrics: Mapping[str, Any], layout: str) -> list[Figure]:
    """This job's AUC of scores, and its AUC of verdicts, as the reproduction has it.

    The AUC of verdicts at a threshold is their balanced accuracy.

    Args:
      metrics: What metrics.json holds.
      layout: How the videos were laid out.
    """
    found = []
    for name, protocol in (
        ("videos/auc", "AUC of scores"),
        ("videos/balanced_accuracy", "AUC of verdicts; threshold of validation"),
    ):
        entry = metrics["metrics"].get(name)
        if entry is None or entry["value"] is None:
            continue
        ends = entry.get("low"), entry.get("high")
        interval = None if None in ends else ends
        found.append(Figure("this job", layout, entry["value"], interval, protocol))
    return found


def table(rows: Sequence[Figure]) -> str:
    """The figures in columns."""
    cells = [("who", "data", "AUC", "95 %", "how")]
    for row in rows:
        ends = row.interval and "-".join(f"{end:.3f}" for end in row.interval)
        cells.append((row.who, row.data, f"{row.auc:.4g}", ends or "", row.protocol))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    )
    return "\n".join(line.rstrip() for line in lines) + "\n"


def differences(
    layout: str,
    lists: bool,
    counts: Mapping[str, Mapping[str, int]],
    config: Mapping[str, Any],
) -> list[str]:
    """What of data, network and protocol is not the paper's, a sentence each.

    Args:
      layout: How the videos were laid out.
      lists: Whether the authors' lists chose the videos.
      counts: Videos by split and label.
      config: The configuration of the run.
    """
    told = []
    if layout != "dfdc":
        told.append(f"data: {layout}, where the paper has DFDC and DeepfakeTIMIT")
    elif not lists:
        told.append(
            "data: split by group, where the paper has its own lists (--train_list,"
            " --test_list)"
        )
    fakes = {split: counts[split]["fake"] for split in ("train", "test")}
    if fakes != _LISTED:
        told.append(
            f"data: {fakes['train']} fakes for training and {fakes['test']} for the"
            f" test, where its lists have {_LISTED['train']} and {_LISTED['test']}"
        )
    told += [
        f"network and training: --{flag}={value}, where its recipe has {paper}"
        for flag, value, paper in _other_settings(config)
    ]
    return [
        *told,
        "protocol: the threshold and the best epoch are chosen on a validation split,"
        " where the paper takes training videos for both",
        "protocol: every face is scored, and nothing of one original or person is on"
        " both sides where groups are known; the public code follows the first face",
    ]


def _other_settings(config: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    paper = recipe("paper.flags")
    found = []
    for part, kind in _CONFIGS.items():
        defaults = {f.name: f.default for f in dataclasses.fields(kind)}
        for name, flag in flags.names(kind).items():
            value = config.get(part, {}).get(name, defaults[name])
            stated: Any = paper.get(flag, defaults[name])
            if flag != "seed" and value != stated:
                found.append((flag, value, stated))
    return found


def recipe(name: str) -> dict[str, Any]:
    """The values of a flagfile of the package, by flag."""
    kinds: dict[str, Any] = {}
    for config in _CONFIGS.values():
        defaults = {f.name: f.default for f in dataclasses.fields(config)}
        for field, flag in flags.names(config).items():
            kinds[flag] = type(defaults[field])
    found: dict[str, Any] = {}
    for word in flags.expand([f"--flagfile={name}"]):
        flag, _, value = word.lstrip("-").partition("=")
        kind = kinds[flag]
        found[flag] = value in ("", "true") if kind is bool else kind(value)
    return found
