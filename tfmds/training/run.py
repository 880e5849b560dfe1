"""Training: a data set of track records and a recipe become a run with checkpoints."""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfmds import spec
from tfmds.common import files, flags, json_files
from tfmds.common.errors import InputError
from tfmds.data import input_pipeline, integrity, self_blending
from tfmds.data.config import BatchConfig
from tfmds.data.data_set import DataSet
from tfmds.models import checkpoints, losses, run_config
from tfmds.models.config import PictureConfig, TwoStreamConfig
from tfmds.models.optimizers import AdamL2, AdamW
from tfmds.models.two_stream import (
    two_stream,
    with_pairwise_distance,
)
from tfmds.training import board, starting, step, strategies, stream_labels
from tfmds.training.config import RunConfig, TrainingConfig
from tfmds.training.loop import Loop
from tfmds.training.validation import Validation


def train(
    data_dir: os.PathLike | str,
    workdir: os.PathLike | str,
    model_config: TwoStreamConfig,
    batch: BatchConfig,
    recipe: TrainingConfig,
    running: RunConfig | None = None,
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
    running = running or RunConfig()
    strategy = strategies.make(running.strategy)
    if running.deterministic:
        tf.config.experimental.enable_op_determinism()
    data_set = DataSet.load(data_dir)
    counts = stream_labels.chunk_counts(data_set, batch.self_blend)
    _check_batch(batch, recipe, counts["label"], strategy.num_replicas_in_sync)
    if batch.self_blend:
        stream_labels.check_own(recipe)
        self_blending.check(data_set.spec, model_config.view)
    offsets = {
        row.video.video_id: row.offset_seconds
        for row in data_set.videos()
        if row.offset_seconds is not None
    }
    if recipe.start_from:
        starting.check(recipe.start_from, model_config, data_set.spec)
    config = {
        "model": model_config.to_json(),
        "spec": data_set.spec.to_json(),
        "batch": dataclasses.asdict(batch),
        "recipe": dataclasses.asdict(recipe),
        "data_set": data_set.name,
        "data_digest": digest([data_set.info, offsets] if offsets else data_set.info),
    }
    is_chief = strategies.is_chief(strategy)
    with alone(workdir, is_chief):
        claim(workdir, config, is_chief)
        keras.utils.set_random_seed(recipe.seed)
        keras.mixed_precision.set_global_policy(recipe.precision)

        in_epoch = round(sum(counts["label"]))
        steps_per_epoch = recipe.steps_per_epoch or max(1, in_epoch // batch.size)
        with strategy.scope():
            model = with_pairwise_distance(two_stream(model_config, data_set.spec))
            model.compile(optimizer(recipe, steps_per_epoch))
            model.optimizer.build(model.trainable_variables)
        if is_chief:
            checkpoints.clear_interrupted(workdir)
        state = checkpoints.latest_state(workdir) or checkpoints.State()
        if state.step:
            checkpoints.restore(workdir, model, state)
        elif recipe.start_from:
            some = input_pipeline.scoring_dataset(
                data_set.shard_files("train"), data_set.spec, model_config.view, 8
            )
            inputs = ({n: b[n] for n in ("frames", "mfcc")} for b in some.take(8))
            starting.load_weights(model, recipe.start_from, inputs)
        step.place_dropout(model, state.step)

        view = model_config.view
        shards = data_set.shard_files("train")

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
                        offsets,
                    )
                )
            )

        validation = Validation(
            data_set,
            view,
            batch.size,
            model,
            recipe.best_by,
            recipe.trained_heads,
        )
        why = validation.without_auc if is_chief else ""
        if why and validation.tells_aligned:
            print(
                f"note: {why}: checkpoints are compared by the AUC of its aligned"
                " scores against those of the same mouths with the next video's voice",
                flush=True,
            )
        elif why:
            instead = (
                "checkpoints are compared by the AUC of mismatched voices where it has"
                " real videos, else by the training loss"
                if recipe.trains_distance
                else "a trained head's AUC on its own stream compares checkpoints where"
                " it can be had, else the last one is used"
            )
            print(f"warning: {why}, so no AUC can be had: {instead}", flush=True)
        if is_chief:
            slow = strategies.why_slow(recipe.precision)
            untaken = _OFFSETS_STAY if offsets and batch.sampling == "grid" else ""
            notes = (*stream_labels.notes(recipe, counts), slow, untaken)
            for note in filter(None, notes):
                print(f"warning: {note}", flush=True)
        loop = Loop(
            workdir=workdir,
            model=model,
            train_step=step.make(model, terms(recipe, counts), strategy),
            validation=validation,
            board=board.Board(workdir, config, is_chief, running.profile_steps),
            epochs=recipe.epochs,
            steps_per_epoch=steps_per_epoch,
            both_classes=all(counts["label"]),
            checkpoint_seconds=running.checkpoint_seconds,
            keep_epochs=running.keep_epochs,
            is_chief=is_chief,
            state=state,
            recipe=recipe,
        )
        with integrity.damage_is_named(data_set, ("train", "validation")):
            return loop.run(batches)


def alone(
    workdir: os.PathLike | str, is_chief: bool
) -> contextlib.AbstractContextManager[None]:
    """Keeps another training of this run waiting: each would delete the other's."""
    if not is_chief:
        return contextlib.nullcontext()

    def waiting() -> None:
        print(f"{workdir}: another tfmds.train is at it; waiting", flush=True)

    return files.locked(workdir, waiting)


def digest(value: Any) -> str:
    """Tells JSON values from others."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_OFFSETS_STAY = (
    "it is known how far the recordings are out of step, and --sampling=grid leaves"
    " them so; --sampling=random takes it out"
)


def claim(
    workdir: os.PathLike | str,
    config: dict[str, Any],
    is_chief: bool,
    model: type[TwoStreamConfig] | type[PictureConfig] = TwoStreamConfig,
) -> None:
    """Saves the configuration, or makes sure that the run there has the same.

    Args:
      workdir: Of the run.
      config: The configuration, as the run has it on disk.
      is_chief: Whether this process saves it.
      model: The class of its part `model`.
    """
    saved = run_config.read(workdir)
    if saved is None:
        if is_chief:
            run_config.write(workdir, config)
        return
    begun = saved.get("recipe", {})
    longer = begun.get("epochs", 0) < config["recipe"]["epochs"]
    if longer and "epochs" in begun:
        saved = {**saved, "recipe": {**begun, "epochs": config["recipe"]["epochs"]}}
    # A run saved before a field was added has that field's default.
    parts = {"model": model, "batch": BatchConfig, "recipe": TrainingConfig}
    differing = []
    before, now = (c.get("network", spec.TWO_STREAM) for c in (saved, config))
    if before != now:
        differing.append(f"--network was {before}, now is {now}")
        parts.pop("model")
    for part, kind in parts.items():
        names = flags.names(kind)

        def by_flag(values: dict[str, Any], names: dict[str, str] = names) -> dict:
            return {f"--{names.get(k, k)}": value for k, value in values.items()}

        was = by_flag(dataclasses.asdict(kind()) | saved.get(part, {}))
        differing += json_files.differences(was, by_flag(config[part]))
    for name in {"spec"} & config.keys():
        differing += json_files.differences(saved.get(name, {}), config[name])
    if saved.get("data_digest") != config["data_digest"]:
        differing.append(
            "the data set is another or has changed (it was"
            f" {saved.get('data_set')!r} with digest {saved.get('data_digest')}, it is"
            f" {config['data_set']!r} with digest {config['data_digest']})"
        )
    if differing:
        raise InputError(
            f"{workdir}: holds a run with another configuration:"
            f" {'; '.join(differing)}. Use another --workdir, or the same settings;"
            " --epochs alone may rise, and another run can begin with the weights of"
            " this one (--start_from)"
        )
    if longer and is_chief:
        run_config.write(workdir, config)
        print(_longer(workdir, begun, config["recipe"]), flush=True)


def _longer(
    workdir: os.PathLike | str, before: dict[str, Any], now: dict[str, Any]
) -> str:
    rate = (
        "the learning rate follows a cosine over all of them from here, where it fell"
        f" to zero after {before['epochs']}"
        if now["schedule"] == "cosine"
        else "the learning rate is the same"
    )
    return (
        f"{workdir}: is trained for {now['epochs']} epochs, where it was begun for"
        f" {before['epochs']}. Weights, the optimizer's memory, the order of data and"
        f" the best checkpoint so far go on; {rate}"
    )


def _check_batch(
    batch: BatchConfig,
    recipe: TrainingConfig,
    counts: tuple[float, float],
    replicas: int,
) -> None:
    if batch.size % replicas:
        raise InputError(
            f"batches of {batch.size} chunks (--batch_tracks times --chunks_per_track)"
            f" cannot be dealt evenly to {replicas} replicas; choose a multiple of"
            f" {replicas}"
        )
    # Mismatches and blended faces are made of real videos.
    from_reals = recipe.mismatch_weight or (batch.self_blend and recipe.visual_weight)
    if not counts[spec.REAL] or not (counts[spec.FAKE] or from_reals):
        raise InputError(
            f"the train split has {counts[spec.REAL]:.0f} chunks of real videos"
            f" and {counts[spec.FAKE]:.0f} of fakes: from one class only there is"
            " nothing to learn. Add the other class"
            + (
                ", or learn from mismatched voices with --mismatch_weight=1, or from"
                " blended faces with --self_blend=0.5"
                if counts[spec.REAL]
                else "; mismatched voices and blended faces are made of real videos too"
            )
        )


def _class_weights(counts: Sequence[float]) -> tf.Tensor:
    present = [max(count, 1) for count in counts]
    return tf.constant([sum(counts) / (2 * count) for count in present], tf.float32)


def terms(
    recipe: TrainingConfig, counts: stream_labels.Counts | None = None
) -> step.Terms:
    """The terms of the loss by name.

    Args:
      recipe: How to train.
      counts: What `balance_classes` balances; without them nothing is.
    """
    mismatches = {
        "softmax": losses.MismatchSoftmax(recipe.temperature),
        "contrastive": losses.MismatchContrastive(recipe.margin),
    }
    heads = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    weights: dict[str, tf.Tensor] = {}
    if recipe.balance_classes and counts:
        weights = {label: _class_weights(both) for label, both in counts.items()}

    def term(
        output: str, loss: keras.losses.Loss, weight: float, label: str = "label"
    ) -> step.Term:
        return step.Term(output, loss, weight, label, weights.get(label))

    asked = {s: stream_labels.of_head(s, recipe.stream_labels) for s in spec.STREAMS}
    return {
        "contrastive": term(
            "distance", losses.ContrastiveLoss(recipe.margin), recipe.contrastive_weight
        ),
        "visual": term("visual_logits", heads, recipe.visual_weight, asked["visual"]),
        "audio": term("audio_logits", heads, recipe.audio_weight, asked["audio"]),
        "mismatch": term(
            "pairwise_distance",
            mismatches[recipe.mismatch_form],
            recipe.mismatch_weight,
        ),
    }


def optimizer(
    recipe: TrainingConfig, steps_per_epoch: int
) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe, with its course of the learning rate."""
    rate: Any = recipe.learning_rate
    total_steps = recipe.epochs * steps_per_epoch
    if recipe.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if recipe.warmup_steps else rate,
            max(1, total_steps - recipe.warmup_steps),
            warmup_target=rate if recipe.warmup_steps else None,
            warmup_steps=recipe.warmup_steps,
        )
    average: dict[str, Any] = {
        "use_ema": bool(recipe.ema_momentum),
        "ema_momentum": recipe.ema_momentum,
        "ema_overwrite_frequency": steps_per_epoch if recipe.ema_momentum else None,
    }
    if recipe.optimizer == "adamw":
        return AdamW(rate, recipe.weight_decay, **average)
    return AdamL2(rate, l2=recipe.weight_decay, **average)
