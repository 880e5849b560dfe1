r"""The whole job on one's own videos, from the folder to the published figures.

    python -m pipelines.reproduce --layout=dfdc --input_dir=DFDC --workdir=RUN \
        --flagfile=paper.flags

Lists and splits the videos, preprocesses them, looks for shortcuts, trains, chooses the
threshold on validation, evaluates on the test split with intervals and writes a report
page, compares the epochs, exports, and prints a table beside the figures of the paper
and of its reproduction. Stopped or killed, the same command goes on; --dry_run tells
what it would do and how long that may take, --from and --until take some steps only.

Flags of preprocessing, network and training, and of Apache Beam, are passed on.
"""

import pathlib

from pipelines.preprocess import flags_of_beam
from pipelines.reproduction.config import ReproduceConfig
from tfmds.common import app
from tfmds.data.config import BatchConfig
from tfmds.models.config import TwoStreamConfig
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.training.config import RunConfig, TrainingConfig


def main(
    config: ReproduceConfig,
    preprocessing: PreprocessingConfig,
    model: TwoStreamConfig,
    batch: BatchConfig,
    training: TrainingConfig,
    run: RunConfig,
) -> None:
    """Flags to one job."""
    from pipelines.reproduction import job, runner

    folders, steps = job.make(
        config, [preprocessing], model, batch, training, run, app.foreign_flags()
    )
    root = pathlib.Path(config.workdir)
    if config.dry_run:
        size = job.size(config, training.seed)
        print(job.describe(config, steps, size, model, batch, training))
        return
    job.place_videos(config.input_dir, folders)
    runner.run(root, steps, config.from_step, config.until)
    if runner.reaches(config.until, steps, "evaluate"):
        print(f"\n{job.write_figures(config, folders)}")
        print(job.where_to_look(folders))


if __name__ == "__main__":
    app.run(main, foreign=flags_of_beam)
