"""The paper's training loss and scores against NumPy in float64."""

import os

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests import tracks
from tfmds.data import input_pipeline
from tfmds.data.config import BatchConfig
from tfmds.evaluation import criteria, scores
from tfmds.models import checkpoints
from tfmds.models.config import TwoStreamConfig
from tfmds.spec import ViewConfig
from tfmds.training import run
from tfmds.training.config import TrainingConfig

TINY = TwoStreamConfig(width=1 / 16, image_size=32, dropout=0.0)
scores_of = hnp.arrays(
    np.float64, st.integers(1, 30), elements=st.floats(0, 3, allow_nan=False)
)


def cross_entropy(logits: np.ndarray, label: np.ndarray) -> float:
    exponentials = np.exp(logits.astype(float))
    shares = exponentials / exponentials.sum(axis=1, keepdims=True)
    return -np.log(shares[np.arange(len(label)), label]).mean()


def contrastive(distance: np.ndarray, label: np.ndarray, margin: float) -> float:
    real = [d**2 for d, y in zip(distance, label, strict=True) if y == 1]
    fake = [
        max(margin - d, 0) ** 2 for d, y in zip(distance, label, strict=True) if y == 0
    ]
    return (sum(real) + sum(fake)) / len(label)


@pytest.mark.usefixtures("few_steps")
def test_a_training_step_minimises_the_weighted_sum(tmp_path):
    weights = (0.5, 2.0, 0.25)
    data_dir = tracks.data_set_dir(tmp_path / "data", {"train": 4}, seconds=1)
    keys = ("contrastive_weight", "visual_weight", "audio_weight")
    state = run.train(
        data_dir,
        tmp_path / "run",
        TINY,
        BatchConfig(tracks=4),
        # At a learning rate of zero the weights are known.
        TrainingConfig(
            epochs=1,
            steps_per_epoch=1,
            learning_rate=0.0,
            margin=3.0,
            **dict(zip(keys, weights, strict=True)),
        ),
    )
    model, _, _ = checkpoints.load_model(tmp_path / "run")
    (batch,) = input_pipeline.scoring_dataset(
        [os.fspath(p) for p in (tmp_path / "data").glob("*.tfrecord*")],
        tracks.SPEC,
        ViewConfig(image_size=32),
        4,
    )
    out = model({k: batch[k] for k in ("frames", "mfcc")}, training=True)
    out = {name: keras.ops.convert_to_numpy(value) for name, value in out.items()}
    label = batch["label"].numpy()
    assert sorted(label) == [0, 0, 1, 1]
    terms = (
        contrastive(out["distance"].astype(float), label, 3.0),
        cross_entropy(out["visual_logits"], label),
        cross_entropy(out["audio_logits"], label),
    )
    assert state.metrics["loss"] == pytest.approx(np.dot(weights, terms), rel=1e-4)


@given(scores_of, st.data())
def test_mds_is_the_mean_of_a_videos_chunks(distance, data):
    of_video = data.draw(
        st.lists(st.integers(0, 3), min_size=len(distance), max_size=len(distance))
    )
    found = scores.mds(distance, np.array(of_video), num_videos=4)
    for video, mds in enumerate(found):
        mine = [d for d, v in zip(distance, of_video, strict=True) if v == video]
        expected = sum(mine) / len(mine) if mine else np.nan
        assert mds == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True)


@given(scores_of, scores_of)
def test_midpoint_lies_between_the_means(real, fake):
    expected = (sum(real) / len(real) + sum(fake) / len(fake)) / 2
    assert criteria.midpoint(real, fake) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=50)
@given(scores_of, scores_of)
def test_sweep_is_the_best_of_twenty_steps(real, fake):
    tau = criteria.sweep(real, fake)
    low, high = min(fake), max(real)
    if low > high:
        assert tau == pytest.approx((low + high) / 2)
        return

    def accuracy(step):
        recall = sum(f >= step for f in fake) / len(fake)
        spared = sum(r < step for r in real) / len(real)
        return (recall + spared) / 2

    steps = [low + (high - low) / 20 * i for i in range(20)]
    assert accuracy(tau) == pytest.approx(max(map(accuracy, steps)))
    assert tau in steps
