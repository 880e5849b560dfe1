"""Runs that begin with the weights of others, and runs that are trained longer."""

import dataclasses
import shutil

import numpy as np
import pytest

from tests import tracks
from tfmds.common.errors import InputError
from tfmds.data.config import BatchConfig
from tfmds.evaluation import score_files
from tfmds.models import checkpoints, run_config
from tfmds.models.config import TwoStreamConfig
from tfmds.scoring import scorer
from tfmds.training import run
from tfmds.training.config import TrainingConfig

# The network of the fixture run_dir.
NETWORK = TwoStreamConfig(width=0.125, image_size=56, region="mouth")
BATCH = BatchConfig(tracks=2, chunks_per_track=2)
# A step that moves nothing, by which one sees where a run begins.
STILL = TrainingConfig(epochs=1, steps_per_epoch=1, learning_rate=0.0, weight_decay=0.0)

pytestmark = pytest.mark.usefixtures("few_steps")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("starting") / "data"
    return tracks.data_set_dir(path, {"train": 4, "validation": 2})


def distances(model, data_dir, out):
    scorer.score_data_set(model, data_dir, ["validation"], out)
    return score_files.read_videos(out / score_files.VIDEOS_FILE).mds


@pytest.mark.slow(12)
def test_it_begins_with_the_weights_of_a_run_or_an_export(
    run_dir, export_dir, data_dir, tmp_path
):
    expected = distances(run_dir, data_dir, tmp_path / "expected")
    for model in (run_dir, export_dir):
        recipe = dataclasses.replace(STILL, start_from=str(model))
        workdir = tmp_path / f"from-{model.name}"
        run.train(data_dir, workdir, NETWORK, BATCH, recipe)
        kernels = [
            checkpoints.load_model(path)[0].get_layer("visual_embedding").kernel
            for path in (workdir, run_dir)
        ]
        np.testing.assert_allclose(*map(np.asarray, kernels), rtol=1e-5)
    # Statistics of an export are those of the data set, and the step moved them little.
    begun = tmp_path / f"from-{export_dir.name}"
    found = distances(begun, data_dir, tmp_path / "found")
    np.testing.assert_allclose(found, expected, rtol=0.1)


def test_another_network_is_refused_with_what_differs(run_dir, data_dir, tmp_path):
    recipe = dataclasses.replace(STILL, start_from=str(run_dir))
    other = dataclasses.replace(NETWORK, width=0.0625, keep_time=True, dropout=0.1)
    message = "--keep_time is False there and True here; --width is 0.125 there and"
    with pytest.raises(InputError) as refused:
        run.train(data_dir, tmp_path / "run", other, BATCH, recipe)
    told = str(refused.value)
    assert all(part in told for part in message.split("; "))
    assert "dropout" not in told
    assert not (tmp_path / "run").exists()
    recipe = dataclasses.replace(STILL, start_from=str(tmp_path))
    with pytest.raises(InputError, match="not a model"):
        run.train(data_dir, tmp_path / "run", NETWORK, BATCH, recipe)


@pytest.mark.slow(12)
def test_a_finished_run_is_trained_longer(data_dir, tmp_path, capsys):
    recipe = TrainingConfig(epochs=1, steps_per_epoch=2, schedule="cosine")
    network = TwoStreamConfig(width=0.0625, image_size=32)
    assert run.train(data_dir, tmp_path / "a", network, BATCH, recipe).step == 2
    shutil.copytree(tmp_path / "a", tmp_path / "before")
    longer = dataclasses.replace(recipe, epochs=2)
    capsys.readouterr()
    state = run.train(data_dir, tmp_path / "a", network, BATCH, longer)
    assert (state.step, state.epoch) == (4, 2)
    said = capsys.readouterr().out
    assert "is trained for 2 epochs, where it was begun for 1" in said
    assert "cosine over all of them" in said
    # The cosine goes down to the end of the longer run, as if it had been begun so.
    assert state.metrics["learning_rate"] == pytest.approx(0, abs=1e-9)
    assert run_config.of_run(tmp_path / "a")["recipe"]["epochs"] == 2
    # Shorter it does not become.
    with pytest.raises(InputError, match="--epochs was 2, now is 1"):
        run.train(data_dir, tmp_path / "a", network, BATCH, recipe)
