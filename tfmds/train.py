"""Trains the two-stream network on a data set of track records.

    python -m tfmds.train --flagfile=tfmds/configs/demo.flags \
        --data_dir=DATA --workdir=RUN

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

import sys

from absl import flags

from tfmds.common import app
from tfmds.common.errors import InputError
from tfmds.data.input_pipeline import BatchConfig
from tfmds.models.checkpoints import State
from tfmds.models.losses import MISMATCH_FORMS
from tfmds.models.two_stream import DENSE_INITS, TwoStreamConfig
from tfmds.models.visual import BACKBONES
from tfmds.spec import REGIONS
from tfmds.training.loop import WorkerLost
from tfmds.training.run import OPTIMIZERS, PRECISIONS, SCHEDULES, Recipe, Running, train
from tfmds.training.strategies import MULTI_WORKER, SINGLE, STRATEGIES

_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Data set made by pipelines.preprocess.", required=True
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where configuration, checkpoints and logs go.", required=True
)

_BACKBONE = flags.DEFINE_enum(
    "backbone", "resnet18", BACKBONES, "Backbone of the visual stream."
)
_WIDTH = flags.DEFINE_float(
    "width", 1.0, "Factor on channels and units of both streams."
)
_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size", 224, "Side of the pictures that the visual stream takes, in pixels."
)
_REGION = flags.DEFINE_enum(
    "region", "face", REGIONS, "Part of the face crop that the visual stream sees."
)
_DROPOUT = flags.DEFINE_float("dropout", 0.5, "Dropout rate before the heads.")
_KEEP_TIME = flags.DEFINE_bool(
    "keep_time",
    False,
    "Compare mouth and voice at eight steps of a second instead of by an average.",
)
_STANDARDIZE_MFCC = flags.DEFINE_bool(
    "standardize_mfcc",
    False,
    "Bring each MFCC coefficient to mean 0 and deviation 1 over a chunk.",
)
_STANDARDIZE_FRAMES = flags.DEFINE_bool(
    "standardize_frames",
    False,
    "Take the mean picture of a chunk away and scale what moves to deviation 1.",
)
_UNIT_EMBEDDINGS = flags.DEFINE_bool(
    "unit_embeddings", False, "Scale embeddings to length 1 before their distance."
)
_VISUAL_BATCH_STATISTICS = flags.DEFINE_bool(
    "visual_batch_statistics",
    False,
    "Let visual batch norms take the statistics of each batch even when scoring, as"
    " the paper's code does; a score then depends on its batch.",
)
_DENSE_INIT = flags.DEFINE_enum(
    "dense_init", "uniform", DENSE_INITS, "Start of the dense layers."
)

_BATCH_TRACKS = flags.DEFINE_integer("batch_tracks", 8, "Tracks in a batch.")
_CHUNKS_PER_TRACK = flags.DEFINE_integer(
    "chunks_per_track",
    1,
    "Chunks of each track in a batch; batch_tracks times this is the batch size.",
)
_SAMPLING = flags.DEFINE_enum(
    "sampling",
    "grid",
    ("grid", "random"),
    "Chunks at whole seconds, each once an epoch, or at random times.",
)
_SHUFFLE_BUFFER = flags.DEFINE_integer(
    "shuffle_buffer", 256, "Chunks (grid) or records (random) shuffled together."
)
_AUGMENT = flags.DEFINE_bool("augment", False, "Vary pictures and sound.")

_EPOCHS = flags.DEFINE_integer("epochs", 50, "Passes over the training split.")
_STEPS_PER_EPOCH = flags.DEFINE_integer(
    "steps_per_epoch", 0, "Batches of an epoch; 0 for as many as the chunks fill."
)
_OPTIMIZER = flags.DEFINE_enum(
    "optimizer",
    "adam",
    OPTIMIZERS,
    "adam adds the weight decay to the gradient, as the paper's code does.",
)
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-3, "Highest learning rate.")
_WEIGHT_DECAY = flags.DEFINE_float("weight_decay", 1e-5, "Weight decay.")
_SCHEDULE = flags.DEFINE_enum(
    "schedule", "constant", SCHEDULES, "Course of the learning rate."
)
_WARMUP_STEPS = flags.DEFINE_integer(
    "warmup_steps", 0, "Steps in which the learning rate rises from zero."
)
_EMA_MOMENTUM = flags.DEFINE_float(
    "ema_momentum",
    0.0,
    "Share that a moving average of the weights keeps at each step, 0 for none; the"
    " average takes the weights' place at the end of each epoch.",
    lower_bound=0.0,
    upper_bound=1.0,
)
_CONTRASTIVE_WEIGHT = flags.DEFINE_float(
    "contrastive_weight", 1.0, "Weight of the contrastive loss (w1)."
)
_VISUAL_WEIGHT = flags.DEFINE_float(
    "visual_weight", 1.0, "Weight of the visual cross-entropy (w2)."
)
_AUDIO_WEIGHT = flags.DEFINE_float(
    "audio_weight", 1.0, "Weight of the audio cross-entropy (w3)."
)
_MISMATCH_WEIGHT = flags.DEFINE_float(
    "mismatch_weight",
    0.0,
    "Weight of the loss on other chunks' voices in the batch; 0 as in the paper.",
)
_MISMATCH_FORM = flags.DEFINE_enum(
    "mismatch_form",
    "softmax",
    MISMATCH_FORMS,
    "A softmax over the batch's voices, or the contrastive loss over all its pairs.",
)
_MARGIN = flags.DEFINE_float(
    "margin",
    0.99,
    "Distance beyond which a fake, or in the contrastive form a mismatch, costs"
    " nothing.",
)
_TEMPERATURE = flags.DEFINE_float(
    "temperature", 0.1, "Temperature of the mismatches' softmax."
)
_BALANCE_CLASSES = flags.DEFINE_bool(
    "balance_classes", False, "Give real and fake chunks the same weight in sum."
)
_PRECISION = flags.DEFINE_enum(
    "precision", "float32", PRECISIONS, "Number type of the computation."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of weights, order and augmentation.")

_STRATEGY = flags.DEFINE_enum(
    "strategy",
    SINGLE,
    STRATEGIES,
    "One device, all GPUs of this machine, or the machines of TF_CONFIG.",
)
_DATA_SERVICE_ADDRESS = flags.DEFINE_string(
    "data_service_address",
    "",
    "A tf.data service that makes the batches, such as grpc://host:5000.",
)
_CHECKPOINT_SECONDS = flags.DEFINE_float(
    "checkpoint_seconds",
    300.0,
    "Time from one checkpoint to the next within an epoch; 0 for one after every step.",
    lower_bound=0,
)
_KEEP_EPOCHS = flags.DEFINE_integer(
    "keep_epochs",
    1,
    "Last epochs whose checkpoints are kept, besides the best one.",
    lower_bound=1,
)
_PROFILE_STEPS = flags.DEFINE_integer(
    "profile_steps",
    0,
    "Show where the time of so many steps goes, from the eleventh on, in the board's"
    " Profile (pip install tensorboard-plugin-profile); 0 for none.",
    lower_bound=0,
)
_DETERMINISTIC = flags.DEFINE_bool(
    "deterministic", False, "Use operations that give the same bits each time."
)


def main() -> None:
    """Flags to configuration to one call."""
    try:
        state = _train()
    except WorkerLost as e:
        if _STRATEGY.value != MULTI_WORKER:
            raise InputError(
                f"{e}: the tf.data service {_DATA_SERVICE_ADDRESS.value!r} does not"
                " answer. Start it again, then run the same command again"
            ) from e
        print(f"{e}; starting again and waiting for it", file=sys.stderr, flush=True)
        # TensorFlow can join a cluster only once in a process.
        app.restart()
    figures = ", ".join(f"{k} {v:.4g}" for k, v in sorted(state.metrics.items()))
    print(f"{_WORKDIR.value}: {state.epoch} epochs, {state.step} steps. {figures}")
    print(
        f"Best checkpoint: step {state.best_step}."
        f" Curves: tensorboard --logdir={_WORKDIR.value}/logs"
    )


def _train() -> State:
    return train(
        _DATA_DIR.value,
        _WORKDIR.value,
        TwoStreamConfig(
            backbone=_BACKBONE.value,
            width=_WIDTH.value,
            image_size=_IMAGE_SIZE.value,
            region=_REGION.value,
            dropout=_DROPOUT.value,
            keep_time=_KEEP_TIME.value,
            standardize_mfcc=_STANDARDIZE_MFCC.value,
            standardize_frames=_STANDARDIZE_FRAMES.value,
            unit_embeddings=_UNIT_EMBEDDINGS.value,
            visual_batch_statistics=_VISUAL_BATCH_STATISTICS.value,
            dense_init=_DENSE_INIT.value,
        ),
        BatchConfig(
            tracks=_BATCH_TRACKS.value,
            chunks_per_track=_CHUNKS_PER_TRACK.value,
            sampling=_SAMPLING.value,
            shuffle_buffer=_SHUFFLE_BUFFER.value,
            augment=_AUGMENT.value,
        ),
        Recipe(
            epochs=_EPOCHS.value,
            steps_per_epoch=_STEPS_PER_EPOCH.value,
            optimizer=_OPTIMIZER.value,
            learning_rate=_LEARNING_RATE.value,
            weight_decay=_WEIGHT_DECAY.value,
            schedule=_SCHEDULE.value,
            warmup_steps=_WARMUP_STEPS.value,
            ema_momentum=_EMA_MOMENTUM.value,
            contrastive_weight=_CONTRASTIVE_WEIGHT.value,
            visual_weight=_VISUAL_WEIGHT.value,
            audio_weight=_AUDIO_WEIGHT.value,
            mismatch_weight=_MISMATCH_WEIGHT.value,
            mismatch_form=_MISMATCH_FORM.value,
            margin=_MARGIN.value,
            temperature=_TEMPERATURE.value,
            balance_classes=_BALANCE_CLASSES.value,
            precision=_PRECISION.value,
            seed=_SEED.value,
        ),
        Running(
            strategy=_STRATEGY.value,
            data_service_address=_DATA_SERVICE_ADDRESS.value,
            checkpoint_seconds=_CHECKPOINT_SECONDS.value,
            keep_epochs=_KEEP_EPOCHS.value,
            profile_steps=_PROFILE_STEPS.value,
            deterministic=_DETERMINISTIC.value,
        ),
    )


if __name__ == "__main__":
    app.run(main)
