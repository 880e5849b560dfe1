"""Says how well the epochs of a training run tell fakes from reals.

    python -m tfmds.compare_epochs --run=RUN --output_dir=epochs

It takes the scores that training left of its validation split; with --data_dir and
--split those of the checkpoints of epochs that are kept (tfmds.train --keep_epochs).
Writes epochs.json and epochs.html.
"""

import dataclasses

from etils import epath

from tfmds import spec
from tfmds.common import app
from tfmds.common.errors import InputError
from tfmds.common.flags import FOLDER, REQUIRED, setting
from tfmds.evaluation import epochs, scores
from tfmds.reporting import tables


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareEpochsConfig:
    """Which epochs to compare, and on what."""

    run: str = setting(REQUIRED, "A run of tfmds.train.")
    data_dir: str | None = setting(
        None, "Data set to score the kept checkpoints on; else training's scores."
    )
    split: str = setting(
        "validation", "Split to score, with --data_dir.", choices=spec.SPLITS
    )
    score: str = setting(
        scores.MDS,
        "Which score of the videos. Training writes mds and those of the heads it"
        " trains, visual and audio; aligned is measured with --data_dir.",
        choices=scores.MEASURED,
    )
    output_dir: str = setting(REQUIRED, "Where the results go.", writes=FOLDER)
    draws: int = setting(1000, "Draws of groups for the intervals.", low=1)
    seed: int = setting(0, "Seed of the draws.")

    def __post_init__(self) -> None:
        if self.split != "validation" and not self.data_dir:
            raise InputError(
                f"--split={self.split}: training scores the validation split only;"
                " name the data set with --data_dir"
            )


def main(config: CompareEpochsConfig) -> None:
    """Reads or makes the scores of each epoch, compares, writes and prints."""
    folder = epath.Path(config.run) / epochs.FOLDER
    if config.data_dir:
        # TensorFlow starts in seconds: only who scores waits for it.
        from tfmds.scoring import scorer

        folder = epath.Path(config.output_dir)
        scorer.score_epochs(
            config.run, config.data_dir, config.split, folder, config.score
        )
    result = epochs.read(
        folder,
        config.split,
        score=config.score,
        num_draws=config.draws,
        seed=config.seed,
    )
    # The templates and charts start slowly: bad input is told without them.
    from tfmds.reporting import result_files

    written = result_files.write_epochs(
        result,
        config.output_dir,
        config.run,
        {
            "command": app.this_command(),
            "draws": config.draws,
            "seed": config.seed,
        },
    )
    rows = [("epoch", "AUC")]
    rows += [(str(epoch), str(result.auc(epoch))) for epoch in result.by_epoch]
    print("\n".join([result.summary, "", *tables.align(rows)]))
    print(f"written: {', '.join(map(str, written))}")


if __name__ == "__main__":
    app.run(main)
