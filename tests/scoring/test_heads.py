"""What a run's heads say of a data set: which columns its scores have."""

import json
import shutil

import numpy as np
import pytest

from tests import tracks
from tfmds.data import input_pipeline
from tfmds.evaluation import score_files
from tfmds.exporting import networks
from tfmds.models import checkpoints, run_config
from tfmds.scoring import scorer


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("heads") / "data"
    return tracks.data_set_dir(path, {"validation": 4}, forged=("picture", "sound"))


def test_heads_that_were_trained_have_columns(own_run_dir, data_dir, tmp_path):
    scorer.score_data_set(own_run_dir, data_dir, ["validation"], tmp_path)
    videos, chunks, _ = score_files.read(tmp_path / "scores.csv")
    assert videos.forged.tolist() == ["", "picture", "", "sound"]
    model, config, spec = checkpoints.load_model(own_run_dir)
    (batch,) = input_pipeline.scoring_dataset(
        [str(data_dir / "tiny-validation.tfrecord-00000-of-00001")],
        spec,
        config.view,
        32,
    )
    inputs = {name: batch[name] for name in ("frames", "mfcc")}
    outputs = model(inputs, training=False)
    for stream in ("visual", "audio"):
        real_minus_fake = np.diff(np.asarray(outputs[f"{stream}_logits"], float))[:, 0]
        expected = 1 / (1 + np.exp(real_minus_fake))
        np.testing.assert_allclose(chunks.heads[stream], expected, atol=1e-4)
        np.testing.assert_allclose(
            videos.scores[stream], expected.reshape(4, 3).mean(1), atol=1e-4
        )


@pytest.mark.parametrize(
    ("recipe", "heads"),
    [
        (None, {}),
        ({"visual_weight": 0.0, "audio_weight": 0.0}, {}),
        # A run of before streams had labels of their own.
        ({"visual_weight": 1.0, "audio_weight": 0.0}, {"visual": "video"}),
        (
            {"visual_weight": 1.0, "audio_weight": 0.5, "stream_labels": "own"},
            {"visual": "own", "audio": "own"},
        ),
    ],
)
def test_a_run_tells_which_heads_it_trained(run_dir, tmp_path, recipe, heads):
    config = json.loads((run_dir / "config.json").read_text())
    run_config.write(tmp_path, config | ({"recipe": recipe} if recipe else {}))
    assert run_config.trained_heads(tmp_path) == heads


@pytest.mark.parametrize(
    ("weights", "better"),
    [
        ({"contrastive_weight": 1.0, "mismatch_weight": 0.0}, ""),
        ({"contrastive_weight": 0.0, "mismatch_weight": 0.5}, ""),
        (None, ""),
        ({"audio_weight": 1.0}, "--score=visual or --score=audio"),
        ({"audio_weight": 0.0}, "--score=visual"),
    ],
)
def test_who_judges_by_a_distance_that_was_not_learned_is_warned(
    run_dir, tmp_path, capsys, weights, better
):
    config = json.loads((run_dir / "config.json").read_text())
    if weights is not None:
        alone = {"contrastive_weight": 0.0, "mismatch_weight": 0.0}
        config["recipe"] = {"visual_weight": 1.0, **alone, **weights}
    shutil.copytree(run_dir, tmp_path / "run")
    run_config.write(tmp_path / "run", config)
    known = networks.describe(tmp_path / "run")
    for score in ("mds", "aligned"):
        scorer.warn_of_untrained(known, score)
        said = capsys.readouterr().err
        assert (f"{score} tells nothing of its videos" in said) == bool(better)
        assert said.strip().endswith(better)
    for score in ("visual", "audio", "fused"):
        scorer.warn_of_untrained(known, score)
    assert not capsys.readouterr().err


def test_heads_that_were_not_have_none(run_dir, data_dir, tmp_path):
    scorer.score_data_set(run_dir, data_dir, ["validation"], tmp_path)
    videos, chunks, _ = score_files.read(tmp_path / "scores.csv")
    assert set(videos.scores) == {"mds"}
    assert not chunks.heads
