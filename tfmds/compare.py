"""Says which of two detectors tells fakes from reals better, and how surely.

    python -m tfmds.compare A/scores.csv B/scores.csv --split=test \
      --output_dir=comparison

Both are held against each other on the videos that both scored. Either file may be the
scores of another detector: two columns, video,score, where a higher score means more
likely fake; what its videos are comes from the other file. Writes comparison.json and
comparison.html, a page to send.

A verdict is that of the equal error rate of each detector on these videos, or of
--thresholds=A.json,B.json.
"""

import sys

from absl import flags
from etils import epath

from tfmds import spec
from tfmds.common import app, files
from tfmds.common.errors import InputError
from tfmds.evaluation import comparison, evaluation, score_files, scores, thresholds
from tfmds.reporting import tables

_SPLIT = flags.DEFINE_enum(
    "split", "test", (*spec.SPLITS, evaluation.ALL), "Split to compare on."
)
_THRESHOLDS = flags.DEFINE_list(
    "thresholds", None, "Two threshold.json, of the first and of the second file."
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where the results go.", required=True
)
_DRAWS = flags.DEFINE_integer(
    "draws", 1000, "Draws of groups for the intervals.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the draws.")

RESULT_FILE = "comparison.json"
PAGE_FILE = "comparison.html"

# So many videos in disagreement are printed.
_NUM_PRINTED = 10


def main() -> None:
    """Reads both files, compares, writes and prints the result."""
    paths = app.arguments()
    if len(paths) != 2:
        raise InputError(
            f"expected two score files, got {len(paths)}:"
            " python -m tfmds.compare A/scores.csv B/scores.csv --output_dir=DIR"
        )
    result = comparison.compare(
        *_read(*paths),
        names=_names(*paths),
        split=_SPLIT.value,
        levels=_levels(),
        num_draws=_DRAWS.value,
        seed=_SEED.value,
    )
    # The templates and Vega start slowly: bad input is answered without them.
    from tfmds.reporting import result_pages

    output_dir = epath.Path(_OUTPUT_DIR.value)
    digests = {path: files.digest(path) for path in paths}
    provenance = {"scores": digests, "draws": _DRAWS.value, "seed": _SEED.value}
    files.write_json(output_dir / RESULT_FILE, result.to_json() | provenance)
    rows = {
        "command": f"python -m tfmds.compare {' '.join(sys.argv[1:])}",
        **digests,
        "intervals": f"{_DRAWS.value} draws of groups, seed {_SEED.value}",
    }
    page = result_pages.comparison_page(result, rows)
    files.write_text(output_dir / PAGE_FILE, page)
    print(_render(result))
    print(f"written: {output_dir / RESULT_FILE}, {output_dir / PAGE_FILE}")


def _read(first: str, second: str) -> tuple[scores.VideoScores, scores.VideoScores]:
    foreign = [score_files.is_foreign(path) for path in (first, second)]
    if all(foreign):
        raise InputError(
            f"{first} and {second} both have two columns, and neither says what the"
            " videos are; one of them must be a scores.csv of tfmds.evaluate"
        )
    if foreign[0]:
        known = score_files.read_videos(second)
        return score_files.read_foreign(first, known)[0], known
    known = score_files.read_videos(first)
    if foreign[1]:
        return known, score_files.read_foreign(second, known)[0]
    return known, score_files.read_videos(second)


def _names(first: str, second: str) -> tuple[str, str]:
    """File or folder names that tell the two paths apart, else the whole paths."""
    names = tuple(_name(epath.Path(path)) for path in (first, second))
    return names if all(names) and names[0] != names[1] else (first, second)


def _name(path: epath.Path) -> str:
    return path.parent.name if path.name == score_files.VIDEOS_FILE else path.stem


def _levels() -> tuple[float, float] | None:
    if not _THRESHOLDS.value:
        return None
    if len(_THRESHOLDS.value) != 2:
        raise InputError(
            f"--thresholds names {len(_THRESHOLDS.value)} files, expected two:"
            " --thresholds=A.json,B.json"
        )
    first, second = (thresholds.read(path).value for path in _THRESHOLDS.value)
    return first, second


def _render(result: comparison.Comparison) -> str:
    lines = [result.summary]
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
        lines += tables.align(rows)
    return "\n".join([*lines, *(f"note: {note}" for note in result.notes)])


if __name__ == "__main__":
    app.run(main, takes_arguments=True)
