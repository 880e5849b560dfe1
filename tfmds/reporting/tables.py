"""Tables for the terminal: an evaluation as text."""

from collections.abc import Iterator, Sequence

from tfmds.evaluation.evaluation import CHUNKS, LOCALIZATION, VIDEOS, Evaluation
from tfmds.evaluation.metrics import Estimate

_COLUMNS = {
    "fakes": "fakes",
    "reals": "reals",
    "auc": "AUC",
    "average_precision": "average precision",
    "equal_error_rate": "equal error rate",
    "balanced_accuracy": "balanced accuracy",
}
_AT_THRESHOLD = ("accuracy", "precision", "recall", "f1", "mcc")


def render(evaluation: Evaluation) -> str:
    """The result in a sentence, a table by manipulation, verdicts and notes."""
    return "\n".join(_lines(evaluation)) + "\n"


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pads the cells of each column to one width, the first column to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def _lines(evaluation: Evaluation) -> Iterator[str]:
    yield evaluation.summary
    yield ""
    yield from align(list(_rows(evaluation.estimates)))
    threshold = evaluation.threshold
    if threshold is not None:
        e = {
            name.removeprefix(f"{VIDEOS}/"): estimate
            for name, estimate in evaluation.estimates.items()
        }
        origin = f" ({threshold.criterion} on {threshold.split})"
        yield ""
        yield (
            f"At the threshold {threshold.value:.4g}"
            f"{origin if threshold.criterion else ''}:"
            f" {e['fakes_called_fake']} of {e['fakes']} fakes called fake,"
            f" {e['reals_called_real']} of {e['reals']} reals called real"
        )
        yield ", ".join(f"{name.replace('_', ' ')} {e[name]}" for name in _AT_THRESHOLD)
    found = {
        name.removeprefix(f"{LOCALIZATION}/"): estimate
        for name, estimate in evaluation.estimates.items()
        if name.startswith(f"{LOCALIZATION}/")
    }
    if found:
        yield ""
        yield f"Localization of {found.pop('periods')} fake periods:"
        yield ", ".join(
            f"{name.replace('ap@', 'AP@').replace('ar@', 'AR@')} {estimate}"
            for name, estimate in found.items()
        )
    for note in evaluation.notes:
        yield f"note: {note}"


def _rows(estimates: dict[str, Estimate]) -> Iterator[list[str]]:
    shown = {
        name: title
        for name, title in _COLUMNS.items()
        if f"{VIDEOS}/{name}" in estimates
    }
    yield ["", *shown.values()]
    for subset in dict.fromkeys(name.rpartition("/")[0] for name in estimates):
        level, _, part = subset.partition("/")
        title = f"  {part.removeprefix('manipulation=')}" if part else level
        if level in (VIDEOS, CHUNKS):
            yield [title, *(str(estimates[f"{subset}/{name}"]) for name in shown)]
