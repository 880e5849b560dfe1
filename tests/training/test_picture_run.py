import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests import faces, runs, tracks
from tests.conftest import assert_refused, run_program
from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.data import face_records
from tfmds.data.config import BatchConfig
from tfmds.data.data_set import FACES, DataSet
from tfmds.evaluation import score_files
from tfmds.models import batch_norm, checkpoints, picture_network, run_config
from tfmds.models.config import PictureConfig, TwoStreamConfig
from tfmds.scoring import face_scores
from tfmds.training import loop, picture_run, run
from tfmds.training.config import TrainingConfig

BATCH = BatchConfig(tracks=8, fake_share=0.5, shuffle_buffer=16)
RECIPE = TrainingConfig(
    epochs=2, steps_per_epoch=20, optimizer="adamw", learning_rate=0.02
)


def tiny(x):
    """A backbone that sees edges, as small as it can be."""
    for number, channels in enumerate((8, 8)):
        x = layers.Conv2D(channels, 3, 2, use_bias=False, name=f"conv{number}")(x)
        x = batch_norm.running(x, f"conv{number}_bn")
        x = layers.ReLU(name=f"relu{number}")(x)
    return x


@pytest.fixture(autouse=True)
def config(monkeypatch):
    monkeypatch.setitem(picture_network.BACKBONES, "tiny", tiny)
    return PictureConfig("tiny", 64)


@pytest.fixture(scope="module")
def data_dirs(tmp_path_factory):
    """Reals and fakes of one set, reals alone of another."""
    root = tmp_path_factory.mktemp("faces")
    counts = {"train": 40, "validation": 16}
    return [
        faces.data_set_dir(root / "one", counts, seed=1),
        faces.data_set_dir(root / "two", counts, name="two", fake_share=0, seed=2),
    ]


def weights(workdir):
    model, _ = checkpoints.load_picture_model(workdir)
    return np.concatenate([np.ravel(v) for v in model.get_weights()])


@pytest.mark.slow(12)
def test_forged_faces_are_told_from_real_ones_and_shown_on_the_board(
    data_dirs, config, tmp_path
):
    state = picture_run.train(data_dirs, tmp_path, config, BATCH, RECIPE)
    assert (state.step, state.epoch) == (40, 2)
    assert state.metrics["validation/auc"] > 0.9
    assert "highest validation AUC" in loop.compared_by(state.metrics, RECIPE)[0]
    tags = runs.tags(tmp_path)
    assert tags["loss/picture"] == tags["validation/auc"] == "scalars"
    assert tags["validation/evaluation"] == "images"
    # The faces of both sets are scored, each under a name of its own.
    written = score_files.read_videos(tmp_path / "validation" / "epoch-0002.csv")
    assert len(written) == 32
    assert (written.label == spec.FAKE).sum() == 8
    # As they are by anybody who has the run.
    model, found = checkpoints.load_picture_model(tmp_path)
    assert found == config
    data_set = DataSet.load(data_dirs[0], FACES)
    predict = face_scores.predictor(model)
    one = face_scores.of_faces(predict, data_set, ["validation"], 64)
    by_name = dict(zip(written.video_id, written.mds, strict=True))
    if state.best_step == state.step:
        for name, value in zip(one.video_id, one.probability, strict=True):
            assert by_name[name] == pytest.approx(value, abs=1e-4)


@pytest.mark.slow(8)
def test_a_run_goes_on_where_it_was_stopped(data_dirs, config, tmp_path, monkeypatch):
    recipe = dataclasses.replace(RECIPE, steps_per_epoch=4)
    picture_run.train(data_dirs, tmp_path / "whole", config, BATCH, recipe)
    save = loop.Loop._save

    def save_and_stop(self, **changes):
        save(self, **changes)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(loop.Loop, "_save", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            picture_run.train(data_dirs, tmp_path / "stopped", config, BATCH, recipe)
    assert checkpoints.latest_state(tmp_path / "stopped").step == 4
    state = picture_run.train(data_dirs, tmp_path / "stopped", config, BATCH, recipe)
    assert state.step == 8
    np.testing.assert_allclose(
        weights(tmp_path / "stopped"), weights(tmp_path / "whole"), atol=1e-4
    )


@pytest.mark.usefixtures("few_steps")
def test_real_faces_are_enough_where_they_are_blended(data_dirs, tmp_path, monkeypatch):
    config = PictureConfig("tiny", 112)
    batch = dataclasses.replace(BATCH, tracks=2, fake_share=0, self_blend=0.5)
    recipe = TrainingConfig(epochs=1, steps_per_epoch=1)
    state = picture_run.train(data_dirs[1:], tmp_path, config, batch, recipe)
    # One class in validation ranks nothing.
    assert "validation/auc" not in state.metrics
    assert "loss" in state.metrics


@pytest.mark.parametrize(
    ("dirs", "changes", "expected"),
    [
        ([1], {}, "40 real faces and 0 forged ones, and --fake_share is 0.5"),
        ([0], {"fake_share": 0.0}, "20 real faces and 20 forged ones"),
        ([0], {"self_blend": 0.5}, "faces of at least 112 pixels, and --picture_size"),
    ],
)
def test_a_batch_that_teaches_nothing_is_refused(
    data_dirs, config, tmp_path, dirs, changes, expected
):
    batch = dataclasses.replace(BATCH, **changes)
    chosen = [data_dirs[k] for k in dirs]
    with pytest.raises(InputError, match=expected):
        picture_run.train(chosen, tmp_path / "run", config, batch, RECIPE)
    assert not (tmp_path / "run").exists()


def test_runs_and_data_of_the_other_network_are_refused(
    run_dir, data_dirs, config, tmp_path
):
    of_tracks = tracks.data_set_dir(tmp_path / "tracks", {"train": 2})
    with pytest.raises(InputError, match="holds records of tracks, expected faces"):
        picture_run.train([of_tracks], tmp_path / "run", config, BATCH, RECIPE)
    with pytest.raises(InputError, match="holds records of faces, expected tracks"):
        run.train(data_dirs[0], tmp_path / "run", TwoStreamConfig(), BATCH, RECIPE)
    with pytest.raises(InputError, match="expected one of --network=picture"):
        checkpoints.load_picture_model(run_dir)
    run_config.write(
        tmp_path / "run", {"network": "picture", "model": config.to_json()}
    )
    with pytest.raises(InputError, match="a run of --network=picture, expected"):
        checkpoints.load_model(tmp_path / "run")
    begun = {**run_config.read(run_dir), "data_digest": "x"}
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "config.json").write_text(json.dumps(begun))
    with pytest.raises(InputError, match="--network was two_stream, now is picture"):
        picture_run.train(data_dirs, tmp_path / "begun", config, BATCH, RECIPE)


@pytest.mark.slow(6)
def test_a_run_begins_with_the_weights_of_another(data_dirs, config, tmp_path):
    short = dataclasses.replace(RECIPE, epochs=1, steps_per_epoch=1)
    picture_run.train(data_dirs, tmp_path / "one", config, BATCH, short)
    still = dataclasses.replace(
        short, start_from=str(tmp_path / "one"), learning_rate=1e-9, seed=5
    )
    picture_run.train(data_dirs, tmp_path / "two", config, BATCH, still)
    one, two = (
        checkpoints.load_picture_model(tmp_path / name)[0] for name in ("one", "two")
    )
    for mine, theirs in zip(two.trainable_weights, one.trainable_weights, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
    larger = PictureConfig("tiny", 96)
    with pytest.raises(InputError, match="it is another network: backbone and size"):
        picture_run.train(data_dirs, tmp_path / "three", larger, BATCH, still)


def test_a_damaged_set_is_named(config, tmp_path):
    sets = [
        faces.data_set_dir(tmp_path / name, {"train": 12}, name=name)
        for name in ("one", "two")
    ]
    shard = sets[1] / "two-train.tfrecord-00000-of-00001"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 255
    shard.write_bytes(content)
    with pytest.raises(InputError, match=f"{shard.name} is damaged"):
        picture_run.train(sets, tmp_path / "run", config, BATCH, RECIPE)


def test_more_data_is_for_pictures_alone(data_dirs, tmp_path):
    first, second = data_dirs
    words = (f"--data_dir={first}", f"--workdir={tmp_path / 'run'}")
    done = run_program("tfmds.train", *words, f"--more_data={second}")
    assert_refused(done, "--more_data goes with --network=picture alone")


def test_a_video_is_the_mean_of_its_pictures(tmp_path):
    path = faces.data_set_dir(tmp_path / "set", {"test": 4})
    data_set = DataSet.load(path, FACES)
    records = tf.data.TFRecordDataset(data_set.shard_files("test"))
    stored = [face_records.decode(record.numpy()) for record in records]
    assert len(stored) == 4

    def predict(pictures):
        return pictures.mean((1, 2, 3)) / 255

    videos = face_scores.of_data_sets(predict, [data_set], ["test"], 48)
    for name, score in zip(videos.video_id, videos.mds, strict=True):
        views = [
            face_records.view(one.face.jpeg, one.face.box, 48)
            for one in stored
            if one.video_id == name
        ]
        assert score == pytest.approx(np.mean(views) / 255, abs=1e-6)
    assert face_scores.of_data_sets(predict, [data_set], ["train"], 48) is None
