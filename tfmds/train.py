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
import shlex
import sys

from tfmds.common import app
from tfmds.common.errors import InputError
from tfmds.common.flags import FOLDER, REQUIRED, setting
from tfmds.data.config import BatchConfig
from tfmds.models.config import TwoStreamConfig
from tfmds.training.config import MULTI_WORKER, RunConfig, TrainingConfig


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """What to train on, and where the run goes."""

    data_dir: str = setting(REQUIRED, "Folder that pipelines.preprocess wrote.")
    workdir: str = setting(
        REQUIRED, "Where configuration, checkpoints and logs go.", writes=FOLDER
    )


def main(
    config: TrainConfig,
    model: TwoStreamConfig,
    batch: BatchConfig,
    training: TrainingConfig,
    run: RunConfig,
) -> None:
    """Flags to configuration to one call."""
    from tfmds.training.loop import FEW_VIDEOS, WorkerLost, compared_by
    from tfmds.training.run import train

    try:
        state = train(
            config.data_dir,
            config.workdir,
            model,
            batch,
            training,
            run,
        )
    except WorkerLost as e:
        if run.strategy != MULTI_WORKER:
            raise InputError(
                f"{e}: the tf.data service {run.data_service_address!r} does not"
                " answer. Start it again, then run the same command again"
            ) from e
        print(f"{e}; starting again and waiting for it", file=sys.stderr, flush=True)
        # TensorFlow can join a cluster only once in a process.
        app.restart()
    figures = ", ".join(f"{k} {v:.4g}" for k, v in sorted(state.metrics.items()))
    print(f"{config.workdir}: {state.epoch} epochs, {state.step} steps. {figures}")
    curves = shlex.join(["tensorboard", f"--logdir={config.workdir}/logs"])
    # A run without a step has no figures to compare.
    if not state.metrics:
        print(f"Curves: {curves}")
        return
    if state.epoch >= training.epochs:
        print("A higher --epochs trains it longer.")
    by, _ = compared_by(state.metrics, training)
    count = round(state.metrics.get("validation/videos", 0))
    chance = ", so few that chance may have chosen" if count < FEW_VIDEOS else ""
    of = f" ({count} validation videos{chance})" if count else ""
    print(f"Best checkpoint: step {state.best_step}, chosen by {by}{of}.")
    words = [f"--model={config.workdir}", f"--data_dir={config.data_dir}"]
    if "validation/auc" not in state.metrics:
        words.append("--mismatches")
    print(f"Curves: {curves}")
    print(f"Next: {app.command('tfmds.select_threshold', *words, '--output_dir=DIR')}")


if __name__ == "__main__":
    app.run(main)
