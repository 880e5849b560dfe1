"""Epochs of steps, each followed by validation and a checkpoint."""

import dataclasses
import math
import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfmds import spec
from tfmds.common import app, progress
from tfmds.common.errors import InputError
from tfmds.evaluation import scores
from tfmds.models import checkpoints
from tfmds.training.board import Board
from tfmds.training.config import TrainingConfig
from tfmds.training.validation import Evaluated, write_scores

# Figures of so many steps are fetched together.
_STEPS_AT_ONCE = 20
# An AUC of fewer validation videos may be chance.
FEW_VIDEOS = 20

# The batches of an epoch, counted from 0, from one of its steps on.
Batches = Callable[[int, int], Iterator[Any]]
TrainStep = Callable[[Any], dict[str, tf.Tensor]]


def compared_by(
    figures: Mapping[str, float], recipe: TrainingConfig
) -> tuple[str, float]:
    """By what checkpoints are compared, in words, and its value, higher is better.

    Without both classes in validation mismatches tell, without reals there the loss.
    A distance that is not trained tells nothing: then a trained head does, on the
    truth of its own stream, `best_by` first; without that the last step is taken.

    Args:
      figures: Of the last validation and epoch.
      recipe: How the run is trained.
    """
    if recipe.trains_distance:
        kinds = [(recipe.best_by, f"validation/{recipe.best_by}_auc")]
    else:
        heads = sorted(recipe.trained_heads, key=lambda name: name != recipe.best_by)
        kinds = [(name, f"validation/{name}_auc") for name in heads]
    for kind, name in kinds:
        if name in figures:
            words = f"the highest validation AUC of the {scores.SCORES[kind]}"
            return words, figures[name]
    if not recipe.trains_distance:
        # Not below any AUC, that of a run that was begun by another rule included.
        return "the last one, as no trained score has an AUC in validation", 1.0
    for name, words in (
        ("validation/auc", "the highest validation AUC"),
        (
            "validation/mismatch_auc",
            "the highest AUC of mismatched voices in validation",
        ),
    ):
        if name in figures:
            return words, figures[name]
    return "the lowest training loss", -figures["loss"]


def told(
    workdir: os.PathLike | str,
    data_dir: os.PathLike | str,
    state: checkpoints.State,
    recipe: TrainingConfig,
    network: str,
) -> Iterator[str]:
    """What a user is told at the end of a run, and what to do next, in lines."""
    figures = ", ".join(f"{k} {v:.4g}" for k, v in sorted(state.metrics.items()))
    yield f"{workdir}: {state.epoch} epochs, {state.step} steps. {figures}"
    curves = f"Curves: {shlex.join(['tensorboard', f'--logdir={workdir}/logs'])}"
    # A run without a step has no figures to compare.
    if not state.metrics:
        yield curves
        return
    if state.epoch >= recipe.epochs:
        yield "A higher --epochs trains it longer."
    by, _ = compared_by(state.metrics, recipe)
    count = round(state.metrics.get("validation/videos", 0))
    chance = ", so few that chance may have chosen" if count < FEW_VIDEOS else ""
    of = f" ({count} validation videos{chance})" if count else ""
    yield f"Best checkpoint: step {state.best_step}, chosen by {by}{of}."
    yield curves
    program, words = "tfmds.export", [f"--model={workdir}"]
    if network == spec.TWO_STREAM:
        program = "tfmds.select_threshold"
        words.append(f"--data_dir={data_dir}")
        if "validation/auc" not in state.metrics:
            words.append("--mismatches")
    yield f"Next: {app.command(program, *words, '--output_dir=DIR')}"


class WorkerLost(Exception):
    """Another worker of the run is gone; it goes on once all have started again."""


@dataclasses.dataclass
class Loop:
    """A run from its state to its end.

    Attributes:
      workdir: Where it lives.
      model: The network with its optimizer, as `state` says.
      train_step: Trains on a batch and returns its figures by tag.
      validation: Scores the validation split, None where there is none.
      board: Where figures are shown.
      epochs: Epochs in all.
      steps_per_epoch: Steps of each.
      both_classes: Whether there are reals and fakes to train on.
      checkpoint_seconds: Time between checkpoints within an epoch, 0 for every step.
      keep_epochs: Last epochs whose checkpoints stay, besides the best.
      is_chief: Whether this process writes and speaks.
      state: Where it stands.
      recipe: How it is trained; chooses the best checkpoint.
    """

    workdir: os.PathLike | str
    model: keras.Model
    train_step: TrainStep
    validation: Callable[[], Evaluated | None]
    board: Board
    epochs: int
    steps_per_epoch: int
    both_classes: bool
    checkpoint_seconds: float
    keep_epochs: int
    is_chief: bool
    state: checkpoints.State
    recipe: TrainingConfig

    def run(self, batches: Batches) -> checkpoints.State:
        """Runs to the end; `batches` returns those of an epoch from a step on."""
        total = self.epochs * self.steps_per_epoch
        if self.state.step:
            self._say(f"{self.workdir}: going on at step {self.state.step} of {total}")
        try:
            with checkpoints.room_on_disk(self.workdir):
                for epoch in range(self.state.epoch, self.epochs):
                    first = self.state.step - epoch * self.steps_per_epoch
                    self._run_steps(epoch, batches(epoch, first))
                    self._end_epoch(epoch + 1)
        except (tf.errors.UnavailableError, tf.errors.AbortedError) as e:
            raise WorkerLost(f"a worker was lost after step {self.state.step}") from e
        return self.state

    def _run_steps(self, epoch: int, batches: Iterator[Any]) -> None:
        end = (epoch + 1) * self.steps_per_epoch
        saved = time.monotonic()
        # Losses that were not looked at yet: a GPU need not wait for each.
        pending: dict[int, dict[str, tf.Tensor]] = {}
        one_class = 0
        with progress.bar(
            total=self.steps_per_epoch,
            initial=self.state.step - epoch * self.steps_per_epoch,
            desc=f"epoch {epoch + 1}/{self.epochs}",
            unit="step",
            hidden=not self.is_chief,
        ) as bar:
            for step in range(self.state.step + 1, end + 1):
                with self.board.step(step):
                    pending[step] = self.train_step(next(batches))
                due = time.monotonic() - saved >= self.checkpoint_seconds
                if step == end or due or len(pending) == _STEPS_AT_ONCE:
                    one_class += self._read(pending, bar)
                if due and step < end:
                    self._save(step=step)
                    saved = time.monotonic()
        if self.both_classes and one_class > self.steps_per_epoch / 2:
            self._say(
                f"warning: in {one_class} of {self.steps_per_epoch} batches of epoch"
                f" {epoch + 1} all chunks were real or all were fake. Larger batches"
                " (--batch_tracks) or a larger --shuffle_buffer mix them better"
            )

    def _read(self, pending: dict[int, dict[str, tf.Tensor]], bar: tqdm) -> int:
        """Writes the figures of these steps; returns how many had one class only."""
        one_class = 0
        for step, values in pending.items():
            figures = {tag: float(value) for tag, value in values.items()}
            broken = [t for t, value in figures.items() if not math.isfinite(value)]
            if broken:
                raise self._diverged(step, " and ".join(broken))
            self.board.write_step(step, figures)
            self.state = dataclasses.replace(
                self.state, loss_sum=self.state.loss_sum + figures["loss/total"]
            )
            one_class += figures["batch/share_of_real"] in (0, 1)
            bar.update()
        bar.set_postfix(loss=f"{figures['loss/total']:.4g}")
        pending.clear()
        return one_class

    def _end_epoch(self, epoch: int) -> None:
        step = epoch * self.steps_per_epoch
        result = self.validation()
        self.board.write_epoch(step, result)
        figures = {
            "loss": self.state.loss_sum / self.steps_per_epoch,
            "learning_rate": float(
                keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
            ),
            **(result.figures() if result else {}),
        }
        if result and self.is_chief:
            write_scores(self.workdir, epoch, result.videos)
        value = compared_by(figures, self.recipe)[1]
        best = self.state.best_value
        # Among equals the later one has seen more.
        if best is None or value >= best:
            self.state = dataclasses.replace(
                self.state, best_step=step, best_value=value
            )
        ends = [*self.state.kept_steps, step]
        self._save(
            step=step,
            epoch=epoch,
            metrics=figures,
            loss_sum=0.0,
            kept_steps=ends[-self.keep_epochs :],
        )
        said = ", ".join(f"{name} {figure:.4g}" for name, figure in figures.items())
        self._say(f"epoch {epoch}/{self.epochs}: {said}")

    def _save(self, **changes: Any) -> None:
        self.state = dataclasses.replace(self.state, **changes)
        # The step may have broken the weights though its own loss was fine.
        if not all(
            np.isfinite(keras.ops.convert_to_numpy(v)).all()
            for v in self.model.trainable_variables
        ):
            raise self._diverged(self.state.step, "weights")
        if self.is_chief:
            # A killed run goes on with whole curves.
            self.board.flush()
            checkpoints.save(self.workdir, self.model, self.state)

    def _diverged(self, step: int, what: str) -> InputError:
        last = checkpoints.latest_state(self.workdir)
        kept = (
            f"the checkpoint of step {last.step} is kept" if last else "none is saved"
        )
        return InputError(
            f"{self.workdir}: NaN or infinite at step {step}: {what}; {kept}. Train"
            " into another --workdir with a lower --learning_rate or more"
            " --warmup_steps; the curves before that step tell more"
        )

    def _say(self, text: str) -> None:
        if self.is_chief:
            print(text, flush=True)
