"""Training: a data set of track records and a recipe become a run with checkpoints."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.data import input_pipeline, integrity
from tfmds.data.data_set import DataSet
from tfmds.models import checkpoints, losses
from tfmds.models.optimizers import AdamL2
from tfmds.models.two_stream import (
    TwoStreamConfig,
    two_stream,
    with_pairwise_distance,
)
from tfmds.training import board, step, strategies
from tfmds.training.loop import Loop
from tfmds.training.validation import Validation

OPTIMIZERS = ("adam", "adamw")
SCHEDULES = ("constant", "cosine")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to train; the defaults are the paper's."""

    # Passes over the training split.
    epochs: int = 50
    # Batches of an epoch, 0 for as many as the split's chunks fill.
    steps_per_epoch: int = 0
    # `adam` adds the weight decay to the gradient, as the paper's code; `adamw` does
    # not.
    optimizer: str = "adam"
    # Highest learning rate.
    learning_rate: float = 1e-3
    # Weight decay.
    weight_decay: float = 1e-5
    # `constant`, or `cosine` down to zero at the last step.
    schedule: str = "constant"
    # Steps in which the learning rate rises from zero.
    warmup_steps: int = 0
    # Share that a moving average of the weights keeps at each step, 0 for none; the
    # average takes the weights' place at the end of each epoch.
    ema_momentum: float = 0.0
    # Weights of the loss terms (equation 4: w1, w2, w3), and of the mismatches.
    contrastive_weight: float = 1.0
    visual_weight: float = 1.0
    audio_weight: float = 1.0
    mismatch_weight: float = 0.0
    # How mismatches are judged, one of losses.MISMATCH_FORMS.
    mismatch_form: str = "softmax"
    # Distance beyond which a fake, or in that form a mismatch, costs nothing.
    margin: float = 0.99
    # How sharply the nearest mismatches count in the softmax.
    temperature: float = 0.1
    # Whether real and fake chunks weigh the same in sum.
    balance_classes: bool = False
    # Number type of the computation.
    precision: str = "float32"
    # Seed of weights, order and augmentation.
    seed: int = 0

    def __post_init__(self):
        for name, allowed in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
            ("mismatch_form", losses.MISMATCH_FORMS),
        ):
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"{name} is {getattr(self, name)!r}, expected one of"
                    f" {', '.join(allowed)}"
                )


@dataclasses.dataclass(frozen=True)
class Running:
    """Where and how a run runs. What is learned does not depend on it."""

    # One of strategies.STRATEGIES.
    strategy: str = strategies.SINGLE
    # Address of a tf.data service that makes the batches, empty for this process.
    data_service_address: str = ""
    # Seconds from one checkpoint to the next within an epoch, 0 for one a step.
    checkpoint_seconds: float = 300.0
    # Last epochs whose checkpoints are kept besides the best one, at least 1.
    keep_epochs: int = 1
    # Steps that TensorBoard's profiler shows, from the eleventh of this process on.
    profile_steps: int = 0
    # Whether only operations are used that give the same bits each time.
    deterministic: bool = False


def train(
    data_dir: os.PathLike | str,
    workdir: os.PathLike | str,
    model_config: TwoStreamConfig,
    batch: input_pipeline.BatchConfig,
    recipe: Recipe,
    running: Running | None = None,
) -> checkpoints.State:
    """Trains, or goes on with the run in `workdir` where it stopped.

    Args:
      data_dir: Data set with a train and a validation split.
      workdir: Where the run lives; with several workers a folder that all of them see.
      model_config: The network.
      batch: How batches are drawn.
      recipe: How to train.
      running: Where and how to run.

    Returns:
      The state at the end, with the figures of the last validation.

    Raises:
      InputError: The data set cannot be used, the run in `workdir` was begun with
        another configuration, the loss is no number any more, or there is no space
        for a checkpoint.
    """
    running = running or Running()
    strategy = strategies.make(running.strategy)
    if running.deterministic:
        tf.config.experimental.enable_op_determinism()
    data_set = DataSet.load(data_dir)
    counts = _chunk_counts(data_set)
    _check_batch(batch, recipe, counts, strategy.num_replicas_in_sync)
    config = {
        "model": model_config.to_json(),
        "spec": data_set.spec.to_json(),
        "batch": dataclasses.asdict(batch),
        "recipe": dataclasses.asdict(recipe),
        "data_set": data_set.name,
        "data_digest": _digest(data_set.info),
    }
    is_chief = strategies.is_chief(strategy)
    _claim(workdir, config, is_chief)
    keras.utils.set_random_seed(recipe.seed)
    keras.mixed_precision.set_global_policy(recipe.precision)

    steps_per_epoch = recipe.steps_per_epoch or max(1, sum(counts) // batch.size)
    with strategy.scope():
        model = with_pairwise_distance(two_stream(model_config, data_set.spec))
        model.compile(_optimizer(recipe, steps_per_epoch))
        model.optimizer.build(model.trainable_variables)
    if is_chief:
        checkpoints.clear_interrupted(workdir)
    state = checkpoints.latest_state(workdir) or checkpoints.State()
    if state.step:
        checkpoints.restore(workdir, model, state)
    step.place_dropout(model, state.step)

    view = input_pipeline.ViewConfig(model_config.image_size, model_config.region)
    shards = [os.fspath(path) for path in data_set.shards("train")]
    weights = _class_weights(counts) if recipe.balance_classes else None

    def batches(epoch: int, first_step: int) -> Iterator[Any]:
        return iter(
            strategy.distribute_datasets_from_function(
                lambda context: input_pipeline.training_dataset(
                    shards,
                    data_set.spec,
                    view,
                    batch,
                    recipe.seed,
                    epoch,
                    first_step,
                    context,
                    running.data_service_address,
                )
            )
        )

    loop = Loop(
        workdir=workdir,
        model=model,
        train_step=step.make(model, terms(recipe), weights, strategy),
        validation=Validation(data_set, view, batch.size, model),
        board=board.Board(workdir, config, is_chief, running.profile_steps),
        epochs=recipe.epochs,
        steps_per_epoch=steps_per_epoch,
        both_classes=all(counts),
        checkpoint_seconds=running.checkpoint_seconds,
        keep_epochs=running.keep_epochs,
        is_chief=is_chief,
        state=state,
    )
    with integrity.damage_is_named(data_set, ("train", "validation")):
        return loop.run(batches)


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# Fields of the configuration whose flag has another name.
_FLAGS = {("batch", "tracks"): "batch_tracks"}


def _claim(workdir: os.PathLike | str, config: dict[str, Any], is_chief: bool) -> None:
    """Saves the configuration, or makes sure that the run there has the same."""
    saved = checkpoints.read_config(workdir)
    if saved is None:
        if is_chief:
            checkpoints.write_config(workdir, config)
        return
    # A run saved before a field was added has that field's default.
    defaults = {
        "model": TwoStreamConfig().to_json(),
        "batch": dataclasses.asdict(input_pipeline.BatchConfig()),
        "recipe": dataclasses.asdict(Recipe()),
        "spec": {},
    }
    differing = [
        f"--{_FLAGS.get((part, name), name)} is {value} now and was {before}"
        for part in defaults
        for name, value in config[part].items()
        if (before := {**defaults[part], **saved.get(part, {})}.get(name)) != value
    ]
    if saved.get("data_digest") != config["data_digest"]:
        differing.append(
            "the data set is another or has changed (it was"
            f" {saved.get('data_set')!r} with digest {saved.get('data_digest')}, it is"
            f" {config['data_set']!r} with digest {config['data_digest']})"
        )
    if differing:
        raise InputError(
            f"{workdir}: holds a run with another configuration:"
            f" {'; '.join(differing)}. Use another --workdir, or the same settings"
        )


def _check_batch(
    batch: input_pipeline.BatchConfig,
    recipe: Recipe,
    counts: tuple[int, int],
    replicas: int,
) -> None:
    if batch.size % replicas:
        raise InputError(
            f"batches of {batch.size} chunks (--batch_tracks times --chunks_per_track)"
            f" cannot be dealt evenly to {replicas} replicas; choose a multiple of"
            f" {replicas}"
        )
    if not all(counts) and not recipe.mismatch_weight:
        raise InputError(
            f"the train split has {counts[spec.REAL]} chunks of real videos and"
            f" {counts[spec.FAKE]} of fakes: from one class only the network learns to"
            " answer always the same. Add the other class, or learn from mismatched"
            " voices with --mismatch_weight=1"
        )


def _chunk_counts(data_set: DataSet) -> tuple[int, int]:
    """Training chunks of (fake, real) videos."""
    counts = [0, 0]
    for row in data_set.videos():
        if row.video.split == "train":
            counts[spec.LABELS[row.video.label]] += row.chunks
    if not sum(counts):
        raise InputError(
            f"{data_set.name}: the train split has no chunks; see the statuses in"
            " videos.csv"
        )
    return counts[spec.FAKE], counts[spec.REAL]


def _class_weights(counts: tuple[int, int]) -> tf.Tensor:
    present = [max(count, 1) for count in counts]
    return tf.constant([sum(counts) / (2 * count) for count in present], tf.float32)


def terms(recipe: Recipe) -> step.Terms:
    """Output, loss and weight of each term, by name."""
    heads = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return {
        "contrastive": (
            "distance",
            losses.ContrastiveLoss(recipe.margin),
            recipe.contrastive_weight,
        ),
        "visual": ("visual_logits", heads, recipe.visual_weight),
        "audio": ("audio_logits", heads, recipe.audio_weight),
        "mismatch": (
            "pairwise_distance",
            losses.MismatchLoss(
                recipe.mismatch_form, recipe.temperature, recipe.margin
            ),
            recipe.mismatch_weight,
        ),
    }


def _optimizer(recipe: Recipe, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    rate: Any = recipe.learning_rate
    total_steps = recipe.epochs * steps_per_epoch
    if recipe.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if recipe.warmup_steps else rate,
            max(1, total_steps - recipe.warmup_steps),
            warmup_target=rate if recipe.warmup_steps else None,
            warmup_steps=recipe.warmup_steps,
        )
    average = {
        "use_ema": bool(recipe.ema_momentum),
        "ema_momentum": recipe.ema_momentum,
        "ema_overwrite_frequency": steps_per_epoch if recipe.ema_momentum else None,
    }
    if recipe.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, recipe.weight_decay, **average)
    return AdamL2(rate, l2=recipe.weight_decay, **average)
