"""Says how well the epochs of a training run tell fakes from reals.

    python -m tfmds.compare_epochs --run=RUN --output_dir=epochs

It takes the scores that training left of its validation split; with --data_dir and
--split those of the checkpoints of epochs that are kept (tfmds.train --keep_epochs).
Writes epochs.json and epochs.html.
"""

from etils import epath

from tfmds.common import app
from tfmds.evaluation import epochs
from tfmds.evaluation.config import CompareEpochsConfig
from tfmds.models import run_config
from tfmds.reporting import tables


def main(config: CompareEpochsConfig) -> None:
    """Reads or makes the scores of each epoch, compares, writes and prints."""
    folder, scored = epath.Path(config.run) / epochs.FOLDER, None
    score = config.score or run_config.judged_by(config.run)
    if config.data_dir:
        # TensorFlow starts in seconds: only who scores waits for it.
        from tfmds.scoring import scorer

        folder = epath.Path(config.output_dir)
        scored = scorer.score_epochs(
            config.run, config.data_dir, config.split, folder, score
        )
    result = epochs.read(
        folder,
        config.split,
        only=scored,
        score=score,
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
    print(result.summary)
    if result.best is not None:
        rows = [("epoch", "AUC")]
        rows += [(str(epoch), str(result.auc(epoch))) for epoch in result.by_epoch]
        print("\n".join(["", *tables.align(rows)]))
    print(f"written: {', '.join(map(str, written))}")


if __name__ == "__main__":
    app.run(main)
