"""Training of a network of single pictures, by the loop of the two streams."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.data import face_batches, integrity, self_blending
from tfmds.data.config import BatchConfig
from tfmds.data.data_set import FACES, DataSet
from tfmds.evaluation import evaluation
from tfmds.importing import imagenet
from tfmds.models import checkpoints
from tfmds.models.config import PictureConfig
from tfmds.models.picture_network import picture_network, split_at_features
from tfmds.scoring import face_scores
from tfmds.training import board, run, step, strategies
from tfmds.training.config import RunConfig, TrainingConfig
from tfmds.training.loop import Loop
from tfmds.training.validation import SPLIT, Evaluated


def train(
    data_dirs: Sequence[os.PathLike | str],
    workdir: os.PathLike | str,
    model_config: PictureConfig,
    batch: BatchConfig,
    recipe: TrainingConfig,
    running: RunConfig | None = None,
) -> checkpoints.State:
    """Trains, or goes on with the run in `workdir` where it stopped.

    Args:
      data_dirs: Data sets of faces, of which one at least has a train split. Each is
        drawn from as often as the others. Their validation splits together choose
        the best checkpoint.
      workdir: Where the run lives.
      model_config: The network.
      batch: How batches are drawn.
      recipe: How to train.
      running: Where and how to run.

    Returns:
      The state at the end, with the figures of the last validation.

    Raises:
      InputError: A data set cannot be used, or as `run.train`.
    """
    running = running or RunConfig()
    strategy = strategies.make(running.strategy)
    if running.deterministic:
        tf.config.experimental.enable_op_determinism()
    data_sets = [DataSet.load(path, FACES) for path in data_dirs]
    learned = [s for s in data_sets if "train" in s.splits]
    counts = _counts(learned)
    _check_batch(batch, counts, model_config, strategy.num_replicas_in_sync)
    config = {
        "network": spec.PICTURE_NETWORK,
        "model": model_config.to_json(),
        "batch": dataclasses.asdict(batch),
        "recipe": dataclasses.asdict(recipe),
        "data_set": ",".join(s.name for s in data_sets),
        "data_digest": run.digest([s.info for s in data_sets]),
    }
    is_chief = strategies.is_chief(strategy)
    with run.alone(workdir, is_chief):
        run.claim(workdir, config, is_chief, PictureConfig)
        keras.utils.set_random_seed(recipe.seed)
        keras.mixed_precision.set_global_policy(recipe.precision)
        in_epoch = sum(counts.values())
        steps_per_epoch = recipe.steps_per_epoch or max(1, in_epoch // batch.size)
        if is_chief:
            checkpoints.clear_interrupted(workdir)
        state = checkpoints.latest_state(workdir) or checkpoints.State()
        with strategy.scope():
            model = picture_network(*model_config.built_of)
            if not state.step:
                _begin(model, model_config, recipe)
            model.compile(run.optimizer(recipe, steps_per_epoch))
            model.optimizer.build(model.trainable_variables)
        if state.step:
            checkpoints.restore(workdir, model, state)
        step.place_dropout(model, state.step)

        def batches(epoch: int, first_step: int) -> Iterator[Any]:
            return iter(
                strategy.distribute_datasets_from_function(
                    lambda context: face_batches.training_dataset(
                        learned,
                        model_config.image_size,
                        batch,
                        recipe.seed,
                        epoch,
                        first_step,
                        context,
                    )
                )
            )

        loop = Loop(
            workdir=workdir,
            model=model,
            train_step=step.make(model, _terms(), strategy, split_at_features),
            validation=Validation(data_sets, model, model_config.image_size),
            board=board.Board(workdir, config, is_chief, running.profile_steps),
            epochs=recipe.epochs,
            steps_per_epoch=steps_per_epoch,
            both_classes=bool(counts.get(spec.FAKE) or batch.self_blend),
            checkpoint_seconds=running.checkpoint_seconds,
            keep_epochs=running.keep_epochs,
            is_chief=is_chief,
            state=state,
            recipe=recipe,
        )
        with integrity.damage_is_named(data_sets[0], ("train", SPLIT), *data_sets[1:]):
            return loop.run(batches)


def _begin(model: keras.Model, config: PictureConfig, recipe: TrainingConfig) -> None:
    """Gives a network the weights that it is to begin with."""
    if recipe.start_from:
        other, theirs = checkpoints.load_picture_model(recipe.start_from)
        if theirs.built_of[:2] != config.built_of[:2]:
            raise InputError(
                f"--start_from={recipe.start_from}: it is another network: backbone and"
                f" size are {theirs.built_of[:2]} there and {config.built_of[:2]} here"
            )
        model.set_weights(other.get_weights())
    elif config.start == "imagenet":
        imagenet.load(model, config.backbone)


class Validation:
    """Scores the validation splits of data sets of faces; None where there is none.

    Args:
      data_sets: The data sets.
      model: The network.
      size: Side of its pictures in pixels.
    """

    def __init__(self, data_sets: Sequence[DataSet], model: keras.Model, size: int):
        self._data_sets = [s for s in data_sets if SPLIT in s.splits]
        self._predict = face_scores.predictor(model)
        self._size = size

    def __call__(self) -> Evaluated | None:
        """Scores all faces with the weights as they are now."""
        videos = face_scores.of_data_sets(
            self._predict, self._data_sets, [SPLIT], self._size
        )
        if videos is None:
            return None
        where = "the validation split"
        found = evaluation.evaluate(
            videos, None, split=SPLIT, min_coverage=0, where=where
        )
        return Evaluated(videos, found)


def _terms() -> step.Terms:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return {"picture": step.Term("picture_logits", loss, 1.0)}


def _counts(data_sets: Sequence[DataSet]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for data_set in data_sets:
        for label, count in face_batches.counts(data_set, "train").items():
            counts[label] = counts.get(label, 0) + count
    return counts


def _check_batch(
    batch: BatchConfig,
    counts: dict[int, int],
    model_config: PictureConfig,
    replicas: int,
) -> None:
    if batch.size % replicas:
        raise InputError(
            f"batches of {batch.size} faces (--batch_tracks) cannot be dealt evenly to"
            f" {replicas} replicas; choose a multiple of {replicas}"
        )
    if batch.self_blend and model_config.image_size < self_blending.MIN_SIZE:
        raise InputError(
            f"self_blend needs faces of at least {self_blending.MIN_SIZE} pixels, and"
            f" --picture_size is {model_config.image_size}"
        )
    reals, fakes = (counts.get(label, 0) for label in (spec.REAL, spec.FAKE))
    wanted = bool(batch.fake_share)
    if not reals or wanted > bool(fakes) or not (wanted or batch.self_blend):
        raise InputError(
            f"the train split has {reals} real faces and {fakes} forged ones, and"
            f" --fake_share is {batch.fake_share:g}: there is nothing to tell apart."
            " Reals are always needed; without fakes learn from blended faces, with"
            " --fake_share=0 --self_blend=0.5"
        )
