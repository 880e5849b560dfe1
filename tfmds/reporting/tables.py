"""Tables for the terminal: an evaluation as text."""

from collections.abc import Iterator, Mapping, Sequence

from tfmds import spec
from tfmds.evaluation import localization_metrics, metrics
from tfmds.evaluation.bootstrap import Estimate
from tfmds.evaluation.comparison import Comparison
from tfmds.evaluation.evaluation import CHUNKS, LOCALIZATION, VIDEOS, Evaluation


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
    estimates = evaluation.estimates
    yield from align(list(_rows(estimates)))
    yield ""
    threshold = evaluation.threshold
    if threshold is not None:
        e = {
            name.removeprefix(f"{VIDEOS}/"): estimate
            for name, estimate in estimates.items()
        }
        origin = f" ({threshold.criterion} on {threshold.split})"
        yield (
            f"At the threshold {threshold.value:.4g}"
            f"{origin if threshold.criterion else ''}:"
            f" {e['fakes_called_fake']} of {e['fakes']} fakes called fake,"
            f" {e['reals_called_real']} of {e['reals']} reals called real"
        )
    others = metrics.titled(estimates, VIDEOS, (metrics.COLUMN, metrics.LISTED))
    yield _listed(others)
    found = {
        title: estimates[f"{LOCALIZATION}/{name}"]
        for name, title in localization_metrics.TITLES.items()
        if f"{LOCALIZATION}/{name}" in estimates
    }
    if found:
        yield ""
        yield f"Localization of {estimates[f'{LOCALIZATION}/periods']} fake periods:"
        yield _listed(found)
    for note in evaluation.notes:
        yield f"note: {note}"


def _listed(figures: Mapping[str, Estimate]) -> str:
    return ", ".join(f"{title} {estimate}" for title, estimate in figures.items())


def _rows(estimates: Mapping[str, Estimate]) -> Iterator[list[str]]:
    shown = metrics.titled(estimates, VIDEOS, (metrics.KEY,))
    yield ["", "fakes", "reals", *shown]
    for subset in dict.fromkeys(name.rpartition("/")[0] for name in estimates):
        level, _, part = subset.partition("/")
        whole = f"{level} head" if level in spec.STREAMS else level
        title = f"  {part.removeprefix('manipulation=')}" if part else whole
        if level in (VIDEOS, CHUNKS, *spec.STREAMS):
            figures = metrics.titled(estimates, subset, (metrics.KEY,))
            counts = [estimates[f"{subset}/{name}"] for name in ("fakes", "reals")]
            cells = [*counts, *(figures.get(name, "-") for name in shown)]
            yield [title, *map(str, cells)]


# So many videos in disagreement are printed.
_NUM_PRINTED = 10


def comparison(result: Comparison) -> str:
    """The comparison for the terminal: the sentence, and where verdicts differ."""
    called = " and ".join(
        f"from {level:.4g} by {name}"
        for level, name in zip(result.levels, result.names, strict=True)
    )
    lines = [result.summary, f"Called fake {called} ({result.level_origin})."]
    disagreed = result.disagreed
    if len(disagreed):
        lines += ["", f"Different verdicts on {len(disagreed)} videos:"]
        rows = [("video", "is", *result.names)]
        for row in disagreed[:_NUM_PRINTED]:
            video = result.video_to_json(row)
            rows.append(
                (
                    video["video_id"],
                    video["label"],
                    *(
                        f"{score:.3f} ({called})"
                        for score, called in zip(
                            video["scores"], video["called"], strict=True
                        )
                    ),
                )
            )
        lines += align(rows)
    return "\n".join([*lines, *(f"note: {note}" for note in result.notes)])
