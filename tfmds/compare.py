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

import dataclasses

from tfmds import spec
from tfmds.common import app
from tfmds.common.errors import InputError
from tfmds.common.flags import FOLDER, REQUIRED, setting
from tfmds.evaluation import (
    comparison,
    evaluation,
    score_pairs,
    scores,
)
from tfmds.reporting import tables


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """On what to compare, and where the result goes."""

    split: str = setting(
        "test", "Split to compare on.", choices=(*spec.SPLITS, evaluation.ALL)
    )
    score: tuple[str, ...] = setting(
        (scores.MDS,),
        f"Which score of the files, one of {', '.join(scores.SCORES)}; two where they"
        " differ. The fused one needs --thresholds.",
    )
    thresholds: tuple[str, ...] | None = setting(
        None, "Two threshold.json, of the first and of the second file."
    )
    output_dir: str = setting(REQUIRED, "Where the results go.", writes=FOLDER)
    draws: int = setting(1000, "Draws of groups for the intervals.", low=1)
    seed: int = setting(0, "Seed of the draws.")

    def __post_init__(self) -> None:
        score_pairs.check_scores(self.score)
        if self.thresholds and len(self.thresholds) != 2:
            raise InputError(
                f"--thresholds names {len(self.thresholds)} files, expected two:"
                " --thresholds=A.json,B.json"
            )


def main(config: CompareConfig) -> None:
    """Reads both files, compares, writes and prints the result."""
    paths = app.arguments()
    if len(paths) != 2:
        raise InputError(
            f"expected two score files, got {len(paths)}:"
            " python -m tfmds.compare A/scores.csv B/scores.csv --output_dir=DIR"
        )
    judged_by = config.score[0], config.score[-1]
    chosen = score_pairs.read_thresholds(config.thresholds or (), judged_by)
    result = comparison.compare(
        *score_pairs.completed(score_pairs.read(*paths), chosen, paths),
        names=score_pairs.names(*paths),
        split=config.split,
        judged_by=judged_by,
        levels=(chosen[0].value, chosen[1].value) if chosen else None,
        num_draws=config.draws,
        seed=config.seed,
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
