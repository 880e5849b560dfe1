"""Which model a name means, by what its videos are judged, and what it scores."""

import shutil

import numpy as np
import pytest

from tests import tracks as drawn
from tests.conftest import run_program
from tfmds.common.errors import InputError
from tfmds.evaluation import score_files, thresholds
from tfmds.exporting import export_info, networks
from tfmds.models import run_config
from tfmds.scoring import scorer
from tfmds.scoring.config import ScoresConfig
from tfmds.scoring.score_tables import Source


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "data"
    return drawn.data_set_dir(path, {"validation": 4, "test": 4})


def with_recipe(run_dir, folder, **recipe):
    shutil.copytree(run_dir, folder)
    config = run_config.read(folder)
    run_config.write(folder, {**config, "recipe": recipe})
    return folder


def test_an_export_scores_as_its_run_does(run_dir, export_dir, data_dir, tmp_path):
    found = []
    for model in (run_dir, export_dir):
        out = tmp_path / model.name
        scorer.score_data_set(model, data_dir, ["validation"], out, score="aligned")
        found.append(score_files.read_videos(out / score_files.VIDEOS_FILE))
    for name in ("mds", "aligned"):
        of_run, of_export = (videos.scores[name] for videos in found)
        assert np.isfinite(of_run).all()
        np.testing.assert_allclose(of_export, of_run, atol=1e-4)


@pytest.mark.parametrize(
    ("recipe", "score"),
    [
        ({}, "mds"),
        ({"mismatch_weight": 1.0, "best_by": "aligned"}, "aligned"),
        (
            {"contrastive_weight": 0.0, "audio_weight": 1.0, "best_by": "mds"},
            "audio",
        ),
        (
            {
                "contrastive_weight": 0.0,
                "visual_weight": 1.0,
                "audio_weight": 1.0,
                "best_by": "audio",
            },
            "audio",
        ),
    ],
)
def test_a_run_is_judged_by_what_it_was_trained_by(run_dir, tmp_path, recipe, score):
    run = str(with_recipe(run_dir, tmp_path / "run", **recipe))
    source = Source.settle(ScoresConfig(model=run, data_dir="d"))
    assert (source.score, source.threshold) == (score, None)
    assert "--score" in source.notes[0]
    said = Source.settle(ScoresConfig(model=run, data_dir="d", score="aligned"))
    assert (said.score, said.notes) == ("aligned", ())


def test_an_export_brings_its_threshold_and_its_score(export_dir):
    config = ScoresConfig(model=str(export_dir), data_dir="d")
    source = Source.settle(config)
    assert source.threshold == export_info.read_info(export_dir / "1").threshold
    assert source.score == source.threshold.score
    # It is one of the other score.
    config = ScoresConfig(model=str(export_dir), data_dir="d", score="aligned")
    assert Source.settle(config).threshold is None
    assert Source.settle(config, takes_threshold=False).threshold is None


def test_what_the_user_names_goes_before_what_the_model_says(export_dir):
    config = ScoresConfig(model=str(export_dir), data_dir="d")
    mine = thresholds.Threshold(-3.0, score="aligned")
    source = Source.settle(config, mine)
    assert (source.score, source.threshold) == ("aligned", mine)
    others = thresholds.Threshold(-3.0, score="aligned", model_id="another")
    with pytest.raises(InputError, match="chosen for the model another"):
        Source.settle(config, others)


def test_a_table_is_judged_by_the_mds_and_what_else_it_has_is_told(data_dir, run_dir):
    config = ScoresConfig(scores=str(data_dir / "scores.csv"))
    scorer.score_data_set(run_dir, data_dir, ["test"], data_dir, score="aligned")
    source = Source.settle(config)
    videos, *_ = score_files.read(data_dir / "scores.csv")
    assert source.score == "mds"
    assert "--score=aligned" in source.notes_on(videos)[0]
    said = Source.settle(ScoresConfig(scores=config.scores, score="mds"))
    assert said.notes_on(videos) == []


def test_starter_names_the_model_of_the_package(tmp_path, monkeypatch, export_dir):
    monkeypatch.chdir(tmp_path)
    of_package = networks.describe(None)
    assert networks.describe("starter") == of_package
    assert export_info.find("starter") == export_info.find(None) == of_package.path
    assert export_info.is_export("starter")
    # As with flagfiles, what is here goes first.
    shutil.copytree(export_dir, "starter")
    assert networks.describe("starter").model_id != of_package.model_id


def test_what_is_neither_run_nor_export_is_refused_with_what_is_one(tmp_path):
    with pytest.raises(InputError, match=r"--workdir of tfmds.train.*tfmds.export"):
        networks.describe(tmp_path)


@pytest.mark.slow(8)
def test_an_export_is_evaluated_at_its_own_threshold(export_dir, data_dir, tmp_path):
    done = run_program(
        "tfmds.evaluate",
        f"--model={export_dir}",
        f"--data_dir={data_dir}",
        f"--output_dir={tmp_path / 'out'}",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "At the threshold 0.5" in done.stdout
    assert f"note: the threshold is that of {export_dir}" in done.stdout
