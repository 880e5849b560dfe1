import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from tests import tracks
from tfmds.common.errors import InputError
from tfmds.data import input_pipeline
from tfmds.data.config import BatchConfig
from tfmds.evaluation import score_files
from tfmds.models import checkpoints
from tfmds.models.config import TwoStreamConfig
from tfmds.training import loop, run, step, stream_labels
from tfmds.training.config import RunConfig, TrainingConfig


@pytest.mark.parametrize(
    ("label", "forged", "visual", "audio"),
    [
        ("real", "", 1, 1),
        ("fake", "picture", 0, 1),
        ("fake", "sound", 1, 0),
        ("fake", "both", 0, 0),
        ("fake", "", -1, -1),
        ("", "", -1, -1),
    ],
)
def test_each_stream_has_its_own_truth(label, forged, visual, audio):
    record = tracks.record(tracks.video("v", label, forged=forged), num_frames=30)
    track = input_pipeline.parse_track(tf.constant(record), tracks.SPEC)
    chunk = input_pipeline.cut_chunk(track, tf.constant(0), tracks.SPEC)
    assert (int(chunk["visual_label"]), int(chunk["audio_label"])) == (visual, audio)


def test_a_real_second_of_a_fake_has_two_real_streams():
    video = tracks.video("v", "fake", forged="", fake_periods=((0.0, 1.0),))
    record = tracks.record(video, num_frames=60)
    track = input_pipeline.parse_track(tf.constant(record), tracks.SPEC)
    labels = [
        int(input_pipeline.cut_chunk(track, tf.constant(s), tracks.SPEC)[name])
        for s in (0, 30)
        for name in ("visual_label", "audio_label")
    ]
    assert labels == [-1, -1, 1, 1]


def test_unknown_chunks_weigh_nothing():
    logits = np.array([[1.0, 3.0], [2.0, 0.0], [-1.0, 4.0]], np.float32)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    weights = tf.constant([2.0, 0.5])
    term = step.Term("logits", loss, 1.0, "own", weights)
    found = term.of({"own": tf.constant([1, 0, -1])}, {"logits": tf.constant(logits)})
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = (-0.5 * np.log(p[0, 1]) - 2.0 * np.log(p[1, 0])) / 3
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_heads_alone_are_asked_by_stream():
    for kind, visual in (("own", "visual_label"), ("video", "label")):
        terms = run.terms(TrainingConfig(stream_labels=kind))
        assert terms["visual"].label == visual
        assert terms["contrastive"].label == terms["mismatch"].label == "label"


def test_heads_that_learn_nothing_are_told():
    counts = {"label": (4, 4), "visual_label": (0, 4), "audio_label": (2, 4)}
    notes = list(stream_labels.notes(TrainingConfig(stream_labels="own"), counts))
    assert [n.split(" head")[0] for n in notes] == [
        "the visual",
        "4 of 8 training chunks are of fakes that do not say which stream is forged"
        " (column forged): the",
    ]
    assert not list(stream_labels.notes(TrainingConfig(), counts))


def test_blended_faces_want_their_own_labels(tmp_path):
    data = tracks.data_set_dir(tmp_path / "data", {"train": 2}, labels=("real",))
    batch = BatchConfig(tracks=2, self_blend=0.5)
    with pytest.raises(InputError, match="--stream_labels=own"):
        run.train(data, tmp_path / "run", TwoStreamConfig(), batch, TrainingConfig())


@pytest.mark.slow(15)
@pytest.mark.usefixtures("few_steps")
def test_the_papers_labels_learn_the_same_where_streams_are_known(tmp_path):
    weights = []
    for forged in ("", "sound"):
        data = tracks.data_set_dir(
            tmp_path / f"data{forged}", {"train": 4, "validation": 4}, forged=(forged,)
        )
        workdir = tmp_path / f"run{forged}"
        batch = BatchConfig(tracks=2)
        recipe = TrainingConfig(epochs=1, steps_per_epoch=2)
        model = TwoStreamConfig(width=0.0625, image_size=32)
        running = RunConfig(deterministic=True)
        state = run.train(data, workdir, model, batch, recipe, running)
        trained, *_ = checkpoints.load_model(workdir)
        weights.append([w.copy() for w in trained.get_weights()])
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)
    # Validation holds the audio head against the sound.
    videos = score_files.read_videos(workdir / "validation" / "epoch-0001.csv")
    expected = roc_auc_score(videos.forged == "sound", videos.scores["audio"])
    assert state.metrics["validation/audio_auc"] == pytest.approx(expected)
    assert "validation/visual_auc" not in state.metrics


def test_a_head_can_choose_the_best_checkpoint():
    figures = {"loss": 1.0, "validation/auc": 0.7, "validation/visual_auc": 0.9}
    assert loop.compared_by(figures, TrainingConfig())[1] == 0.7
    words, value = loop.compared_by(figures, TrainingConfig(best_by="visual"))
    assert (words, value) == (
        "the highest validation AUC of the probability of the visual head",
        0.9,
    )


@pytest.mark.parametrize("best_by", ["mds", "aligned", "audio"])
def test_a_distance_that_is_not_trained_chooses_nothing(best_by):
    figures = {
        "loss": 1.0,
        "validation/auc": 0.7,
        "validation/aligned_auc": 0.8,
        "validation/mismatch_auc": 0.6,
    }
    recipe = TrainingConfig(contrastive_weight=0, audio_weight=0, best_by=best_by)
    # An untrained head has no figure; the last step is as good as any before it.
    words, value = loop.compared_by(figures, recipe)
    assert "the last one" in words
    assert value >= loop.compared_by(figures | {"loss": 0.1}, recipe)[1]
    assert value >= 0.8
    words, value = loop.compared_by(figures | {"validation/visual_auc": 0.55}, recipe)
    assert value == 0.55
    assert "visual head" in words
    mismatched = dataclasses.replace(recipe, mismatch_weight=1)
    assert loop.compared_by(figures, mismatched)[1] in (0.7, 0.8)


def test_of_two_heads_alone_the_named_one_chooses():
    figures = {"loss": 1.0, "validation/visual_auc": 0.6, "validation/audio_auc": 0.5}
    for best_by, expected in (("visual", 0.6), ("audio", 0.5), ("mds", 0.6)):
        recipe = TrainingConfig(contrastive_weight=0, best_by=best_by)
        assert loop.compared_by(figures, recipe)[1] == expected


@pytest.mark.slow
@pytest.mark.usefixtures("few_steps")
def test_a_head_without_validation_truth_is_taken_at_the_last_step(tmp_path, capsys):
    splits = {"train": 2, "validation": 1}
    data = tracks.data_set_dir(tmp_path / "data", splits, forged=["picture"])
    batch = BatchConfig(tracks=2)
    recipe = TrainingConfig(
        epochs=2,
        steps_per_epoch=1,
        stream_labels="own",
        contrastive_weight=0,
        audio_weight=0,
    )
    model = TwoStreamConfig(width=0.0625, image_size=32)
    state = run.train(data, tmp_path / "run", model, batch, recipe)
    assert "validation/mismatch_auc" in state.metrics
    assert state.best_step == state.step == 2
    assert "else the last one is used" in capsys.readouterr().out
