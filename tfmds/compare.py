r"""Says which of two detectors tells fakes from reals better, and how surely.

    python -m tfmds.compare A/scores.csv B/scores.csv --split=test \
      --output_dir=comparison

Both are held against each other on the videos that both scored. Either file may be the
scores of another detector: two columns, video,score, where a higher score means more
likely fake; what its videos are comes from the other file. Writes comparison.json and
comparison.html, a page to send.

A verdict is that of the equal error rate of each detector on these videos, or of
--thresholds=A.json,B.json.
"""

from tfmds.common import app
from tfmds.common.errors import InputError
from tfmds.evaluation import comparison, score_pairs, scores
from tfmds.evaluation.config import CompareConfig
from tfmds.reporting import tables


def main(config: CompareConfig) -> None:
    """Reads both files, compares, writes and prints the result."""
    paths = app.arguments()
    if len(paths) != 2:
        raise InputError(
            f"expected two score files, got {len(paths)}:"
            " python -m tfmds.compare A/scores.csv B/scores.csv --output_dir=DIR"
        )
    chosen = score_pairs.read_thresholds(config.thresholds or (), config.score or ())
    found = config.score or [one.score for one in chosen] or [scores.MDS]
    judged_by = found[0], found[-1]
    first, second, notes = score_pairs.read(*paths)
    result = comparison.compare(
        *score_pairs.completed((first, second), chosen, paths),
        names=score_pairs.names(*paths),
        split=config.split,
        judged_by=judged_by,
        levels=(chosen[0].value, chosen[1].value) if chosen else None,
        num_draws=config.draws,
        seed=config.seed,
        notes=notes,
    )
    # The templates and charts start slowly: bad input is told without them.
    from tfmds.reporting import result_files

    written = result_files.write_comparison(
        result,
        config.output_dir,
        (paths[0], paths[1]),
        {
            "command": app.this_command(),
            "draws": config.draws,
            "seed": config.seed,
        },
    )
    print(tables.comparison(result))
    print(f"written: {', '.join(map(str, written))}")


if __name__ == "__main__":
    app.run(main, takes_arguments=True)
