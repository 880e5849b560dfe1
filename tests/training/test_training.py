import dataclasses
import json
import shutil
import threading

import numpy as np
import pytest
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from tests import runs, tracks
from tfmds.common.errors import InputError
from tfmds.data.config import BatchConfig
from tfmds.evaluation import score_files
from tfmds.models import checkpoints, run_config
from tfmds.models.config import TwoStreamConfig
from tfmds.models.two_stream import two_stream
from tfmds.scoring import scorer
from tfmds.training import loop, run, validation
from tfmds.training.config import RunConfig, TrainingConfig

TINY = TwoStreamConfig(width=0.0625, image_size=32)
BATCH = BatchConfig(tracks=2, chunks_per_track=2, sampling="random", augment=True)
RECIPE = TrainingConfig(
    epochs=2,
    steps_per_epoch=3,
    mismatch_weight=1.0,
    balance_classes=True,
    ema_momentum=0.9,
)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tracks.data_set_dir(
        tmp_path_factory.mktemp("data"), {"train": 4, "validation": 4}
    )


@pytest.fixture(scope="module")
def finished(data_dir, tmp_path_factory):
    """A finished run on that data."""
    path = tmp_path_factory.mktemp("runs") / "finished"
    run.train(data_dir, path, TINY, BATCH, RECIPE)
    return path


@pytest.fixture(scope="module")
def unwatched(tmp_path_factory):
    """A run without a validation split, whose last two steps were profiled."""
    path = tmp_path_factory.mktemp("runs") / "unwatched"
    data = tracks.data_set_dir(path / "data", {"train": 4})
    recipe = dataclasses.replace(RECIPE, epochs=1, steps_per_epoch=13)
    run.train(data, path, TINY, BATCH, recipe, RunConfig(profile_steps=2))
    return path


def weights(run_dir):
    model = checkpoints.load_model(run_dir)[0]
    return np.concatenate([np.ravel(v) for v in model.get_weights()])


@pytest.mark.slow(15)
def test_a_run_leaves_checkpoint_figures_and_curves(finished):
    state = checkpoints.latest_state(finished)
    assert (state.step, state.epoch) == (6, 2)
    assert {
        "loss",
        "learning_rate",
        "validation/auc",
        "validation/mds_real",
        "validation/mds_fake",
    } <= set(state.metrics)
    assert (
        runs.tags(finished).items()
        >= {
            **{f"loss/{x}": "scalars" for x in ("total", "contrastive", "mismatch")},
            **{f"loss/{x}": "scalars" for x in ("visual", "audio")},
            "learning_rate": "scalars",
            "validation/auc": "scalars",
            "mds/real": "histograms",
            "mds/fake": "histograms",
            "validation/precision_recall/pr_curves": "pr_curves",
            "validation/evaluation": "images",
            "validation/samples": "images",
            "validation/mouth_against_voice": "images",
            "custom_scalars__config__": "custom_scalars",
            "_hparams_/session_start_info": "hparams",
        }.items()
    )
    assert sorted(runs.scalars(finished)) == [1, 2, 3, 4, 5, 6]
    written = score_files.read_videos(finished / "validation" / "epoch-0002.csv")
    assert len(written) == 4
    assert checkpoints.load_model(finished)[1] == TINY


@pytest.mark.slow(10)
def test_the_profiler_shows_the_steps_asked_for(unwatched):
    (trace,) = unwatched.glob("logs/plugins/profile/*/*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(trace.read_bytes())
    steps = {
        stat.int64_value or stat.uint64_value
        for plane in space.planes
        for line in plane.lines
        for event in line.events
        if plane.event_metadata[event.metadata_id].name == "train"
        for stat in event.stats
        if plane.stat_metadata[stat.metadata_id].name == "step_num"
    }
    assert steps == {11, 12}


def test_mismatches_within_the_batch_are_counted_by_hand():
    pairwise = [
        np.array([[0.1, 0.9, 0.3], [0.2, 0.5, 0.4], [0.8, 0.8, 0.8]]),
        np.array([[0.7]]),
    ]
    # The last of the first batch is a fake: its own voice proves nothing.
    label = np.array([1, 1, 0, 1])
    own, other = [0.1, 0.5, 0.7], [0.9, 0.3, 0.2, 0.4]
    won = np.mean([(o > w) + 0.5 * (o == w) for o in other for w in own])
    assert validation.mismatch_auc(pairwise, label) == pytest.approx(won)
    assert validation.mismatch_auc(pairwise[1:], label[3:]) is None


@pytest.mark.slow
def test_another_configuration_or_data_set_is_refused(data_dir, finished, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(finished, workdir)
    other = dataclasses.replace(RECIPE, learning_rate=0.5)
    with pytest.raises(InputError, match=r"--learning_rate was 0\.001, now is 0\.5"):
        run.train(data_dir, workdir, TINY, BATCH, other)
    with pytest.raises(InputError, match="--batch_tracks was 2, now is 4"):
        run.train(data_dir, workdir, TINY, dataclasses.replace(BATCH, tracks=4), RECIPE)
    changed = tracks.data_set_dir(tmp_path / "changed", {"train": 2}, note="other")
    with pytest.raises(InputError, match="data set is another or has changed"):
        run.train(changed, workdir, TINY, BATCH, RECIPE)
    # A run that was begun before a setting was there has its default.
    file = workdir / "config.json"
    config = json.loads(file.read_text())
    del config["recipe"]["temperature"], config["model"]["dense_init"]
    file.write_text(json.dumps(config))
    # A finished run is left as it is.
    assert run.train(data_dir, workdir, TINY, BATCH, RECIPE).step == 6
    np.testing.assert_array_equal(weights(workdir), weights(finished))


def test_a_data_set_without_validation_trains_on_its_loss(unwatched):
    state = checkpoints.latest_state(unwatched)
    assert "validation/auc" not in state.metrics
    assert state.best_step is not None


@pytest.mark.usefixtures("few_steps")
def test_a_loss_that_is_no_number_ends_the_run_and_says_where(data_dir, tmp_path):
    wild = dataclasses.replace(RECIPE, learning_rate=1e38)
    with pytest.raises(InputError, match=r"infinite at step \d: loss/total.*visual"):
        run.train(data_dir, tmp_path, TINY, BATCH, wild)
    assert checkpoints.latest_state(tmp_path) is None


@pytest.mark.slow
@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("weight", [0.0, 1.0])
@pytest.mark.parametrize("label", ["real", "fake"])
def test_one_class_teaches_nothing_but_reals_by_mismatches(
    tmp_path, label, weight, capsys
):
    data = tracks.data_set_dir(
        tmp_path / "data", {"train": 2, "validation": 2}, labels=[label]
    )
    recipe = dataclasses.replace(RECIPE, mismatch_weight=weight, epochs=1)
    if label == "fake" or not weight:
        found = "6 chunks of real videos and 0" if label == "real" else "0 .* and 6"
        with pytest.raises(InputError, match=f"{found} of fakes.*nothing to learn"):
            run.train(data, tmp_path / "run", TINY, BATCH, recipe)
        assert not (tmp_path / "run").exists()
        return
    state = run.train(data, tmp_path / "run", TINY, BATCH, recipe)
    said = capsys.readouterr().out
    assert "validation split has only real videos, so no AUC can be had" in said
    assert state.best_value == loop.compared_by(state.metrics, recipe)[1]
    assert "mismatched voices" in loop.compared_by(state.metrics, recipe)[0]


def test_a_damaged_data_set_is_named(tmp_path):
    data = tracks.data_set_dir(tmp_path / "data", {"train": 2})
    (shard,) = data.glob("*tfrecord*")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 255
    shard.write_bytes(content)
    with pytest.raises(InputError, match=f"{shard.name} is damaged"):
        run.train(data, tmp_path / "run", TINY, BATCH, RECIPE)


def test_scores_have_a_row_for_every_video_and_chunk(data_dir, tmp_path):
    run_config.write(tmp_path, {"model": TINY.to_json(), "spec": tracks.SPEC.to_json()})
    model = two_stream(TINY)
    checkpoints.save(tmp_path, model, checkpoints.State(step=1, best_step=1))
    scorer.score_data_set(tmp_path, data_dir, ["validation"], tmp_path / "out")
    videos = score_files.read_videos(tmp_path / "out" / score_files.VIDEOS_FILE)
    chunks = score_files.read_chunks(tmp_path / "out" / score_files.CHUNKS_FILE, videos)
    assert list(videos.video_id) == [f"validation{i}" for i in range(4)]
    assert videos.label.tolist() == [1, 0, 1, 0]
    assert len(chunks) == 12
    first = chunks.distance[chunks.video_id == "validation0"]
    assert videos.mds[0] == pytest.approx(first.mean())


def test_a_data_set_of_another_spec_is_refused_with_both_values(run_dir, tmp_path):
    other = dataclasses.replace(tracks.SPEC, num_coefficients=20)
    data = tracks.data_set_dir(
        tmp_path / "data", {"test": 2}, chunk_spec=other.to_json()
    )
    with pytest.raises(InputError, match=r"num_coefficients is 13 .* and 20 "):
        scorer.score_data_set(run_dir, data, ["test"], tmp_path / "out")


@pytest.mark.parametrize("field", ["optimizer", "schedule", "precision"])
def test_a_recipe_that_cannot_be_is_refused_by_name(field):
    with pytest.raises(InputError, match=field):
        TrainingConfig(**{field: "magic"})


def test_a_second_training_of_a_run_waits_for_the_first(tmp_path, capsys):
    entered = threading.Event()

    def second() -> None:
        with run.alone(tmp_path, is_chief=True):
            entered.set()

    thread = threading.Thread(target=second)
    with run.alone(tmp_path, is_chief=True):
        thread.start()
        assert not entered.wait(0.5)
        # Other workers of the same training do not wait.
        with run.alone(tmp_path, is_chief=False):
            pass
    assert entered.wait(60)
    thread.join()
    assert capsys.readouterr().out.count("another tfmds.train is at it") == 1
