"""Trains the network on a data set that pipelines.preprocess made.

    python -m tfmds.train --flagfile=robust.flags --data_dir=DATA --workdir=RUN

--flagfile takes a recipe: paper.flags trains as the paper did, robust.flags learns how
mouth and voice move together, demo.flags is quick. A flag after it changes one setting.
A track is one face followed through a video, a chunk one second of it: the pictures,
which the visual stream of the network takes, and the voice as MFCC (a few numbers for
each hundredth of a second), which the audio stream takes. docs/training.md tells more.

Watch it with `tensorboard --logdir=RUN/logs`. Stopped or killed, the same command goes
on at the last checkpoint as if nothing had been; with --deterministic on a CPU, to the
last bit.

--strategy=mirrored takes all GPUs of the machine. On several machines start the same
command on each, with --strategy=multi_worker, a --workdir that all of them see, and the
environment variable TF_CONFIG:

    TF_CONFIG='{"cluster": {"worker": ["host1:2222", "host2:2222"]},
        "task": {"type": "worker", "index": 0}}' python -m tfmds.train ...

A batch is dealt among them; what is learned is the same. Where a worker is lost the
others wait until it is started again.
"""

import dataclasses
import sys

from tfmds.common import app
from tfmds.common.errors import InputError
from tfmds.common.flags import FOLDER, REQUIRED, setting
from tfmds.data.config import BatchConfig
from tfmds.models.config import PictureConfig, TwoStreamConfig
from tfmds.spec import PICTURE_NETWORK, TWO_STREAM
from tfmds.training.config import MULTI_WORKER, RunConfig, TrainingConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What to train on, and where the run goes."""

    data_dir: str = setting(REQUIRED, "Folder that pipelines.preprocess wrote.")
    more_data: tuple[str, ...] = setting(
        (), "With --network=picture: further data sets of faces, drawn from as often."
    )
    network: str = setting(
        TWO_STREAM,
        "Two streams of mouth and voice, or one of single pictures (docs/pictures.md).",
        choices=(TWO_STREAM, PICTURE_NETWORK),
    )
    workdir: str = setting(
        REQUIRED, "Where configuration, checkpoints and logs go.", writes=FOLDER
    )


def main(
    config: TrainConfig,
    model: TwoStreamConfig,
    picture: PictureConfig,
    batch: BatchConfig,
    training: TrainingConfig,
    run: RunConfig,
) -> None:
    """Flags to configuration to one call."""
    from tfmds.training import picture_run
    from tfmds.training.loop import WorkerLost, told
    from tfmds.training.run import train

    if config.more_data and config.network != PICTURE_NETWORK:
        raise InputError(f"--more_data goes with --network={PICTURE_NETWORK} alone")
    data_dirs, settings = [config.data_dir, *config.more_data], (batch, training, run)
    try:
        if config.network == PICTURE_NETWORK:
            state = picture_run.train(data_dirs, config.workdir, picture, *settings)
        else:
            state = train(config.data_dir, config.workdir, model, *settings)
    except WorkerLost as e:
        if run.strategy != MULTI_WORKER:
            raise InputError(
                f"{e}: the tf.data service {run.data_service_address!r} does not"
                " answer. Start it again, then run the same command again"
            ) from e
        print(f"{e}; starting again and waiting for it", file=sys.stderr, flush=True)
        # TensorFlow can join a cluster only once in a process.
        app.restart()
    for line in told(config.workdir, config.data_dir, state, training, config.network):
        print(line)


if __name__ == "__main__":
    app.run(main)
