"""Which stream looks forged: from the run that was trained to tell to the verdict."""

import json

import numpy as np
import pytest

from tests import tracks
from tfmds.common.errors import InputError
from tfmds.detection import judgement_json, judging, results
from tfmds.evaluation import thresholds
from tfmds.evaluation.fusion import FusedInput, Fusion
from tfmds.evaluation.thresholds import Threshold
from tfmds.exporting import export_info, light_model, loading, saved_model
from tfmds.judgement.judgement import VideoJudgement
from tfmds.judgement.seen import JudgedChunk
from tfmds.models import run_config
from tfmds.reporting import sentences, video_page

HEADS = {s: Threshold(value, score=s) for s, value in (("visual", 0.0), ("audio", 1.0))}


@pytest.fixture(scope="module")
def own_export(own_run_dir, tmp_path_factory):
    """An export whose picture always looks forged, and whose voice never does."""
    path = tmp_path_factory.mktemp("own_export")
    thresholds.write(path / thresholds.FILE, Threshold(0.5, heads=HEADS))
    saved_model.export(own_run_dir, path / thresholds.FILE, path / "model")
    return path / "model"


@pytest.mark.slow(10)
def test_a_verdict_says_which_stream_looks_forged(own_export, clip):
    model = loading.load(own_export)
    judgement = judging.judge(model, clip)
    said = "By itself, the picture looks forged; the voice does not."
    assert sentences.explanation(judgement).endswith(said)
    page = video_page.video_page(judgement)
    assert said in page
    assert "trained to tell whether the picture and whether the voice" in page
    fields = judgement_json.write(judgement)
    assert fields["streams"]["visual"]["looks_forged"]
    chunks = fields["tracks"][0]["chunks"]
    mean = np.mean([chunk["visual"] for chunk in chunks])
    assert 0 < mean < 1
    assert fields["streams"]["visual"]["fake_probability"] == pytest.approx(mean)
    row = results.row(fields)
    assert (row["visual"], row["visual_looks_forged"]) == (pytest.approx(mean), True)
    assert not row["audio_looks_forged"]
    again = judgement_json.read(json.loads(json.dumps(fields)), model.threshold)
    assert sentences.explanation(again) == sentences.explanation(judgement)


def test_the_table_has_the_score_that_a_video_is_judged_by():
    # The heads learned from whole videos: nothing is said of streams.
    parts = FusedInput("mds", 0.1, 0.1, 1.0), FusedInput("visual", 0.5, 0.4, 2.0)
    threshold = Threshold(0.4, score="fused", fusion=Fusion(parts, -1.5))
    chunks = JudgedChunk(0, 0.0, 0.2, heads={"visual": 0.7})
    found = VideoJudgement("a.mp4", "ok", threshold, chunks=(chunks,))
    fields = json.loads(json.dumps(judgement_json.write(found)))
    row = results.row(fields)
    # (0.2 - 0.1) / 0.1 + 2 (0.7 - 0.5) / 0.4 - 1.5
    assert row["fused"] == pytest.approx(0.5)
    assert row["visual"] == pytest.approx(0.7)
    assert row["audio"] is row["visual_looks_forged"] is None
    # Results of before the heads were asked.
    del fields["fused"], fields["visual"], fields["streams"]
    assert results.row(fields)["fused"] is None


def test_heads_are_asked_of_the_saved_model(own_export, own_run_dir):
    assert light_model.load(own_export) is None
    model = loading.load(own_export)
    record = tracks.record(tracks.video(), num_frames=30)
    found = model.score([record, record])
    answer = model.signatures["examples"](examples=[record, record])
    assert set(found) == {"distance", "visual", "audio"}
    for name, key in (("visual", "visual_fake_probability"), ("distance", "distance")):
        np.testing.assert_allclose(found[name], answer[key].numpy(), rtol=1e-6)


@pytest.mark.slow
def test_a_model_that_was_not_trained_to_tell_says_nothing(
    export_dir, own_run_dir, clip, tmp_path
):
    for path in (export_dir, None):
        info = export_info.read_info(export_info.find(path))
        assert info.told_streams == info.asked_heads == ()
    # The paper's labels: its heads were asked about the whole video.
    config = run_config.read(own_run_dir)
    run = tmp_path / "run"
    run.mkdir()
    (run / "checkpoints").symlink_to(own_run_dir / "checkpoints")
    recipe = config["recipe"] | {"stream_labels": "video"}
    run_config.write(run, {**config, "recipe": recipe})
    thresholds.write(tmp_path / thresholds.FILE, Threshold(0.5, heads=HEADS))
    saved_model.export(run, tmp_path / thresholds.FILE, tmp_path / "model")
    model = loading.load(tmp_path / "model")
    assert light_model.load(tmp_path / "model") is not None
    judgement = judging.judge(model, clip)
    fields = judgement_json.write(judgement)
    assert fields["streams"] == {}
    assert "visual" not in fields
    assert "looks forged" not in video_page.video_page(judgement)
    assert results.row(fields)["visual"] is None


def test_heads_travel_to_a_renewed_export(own_export, tmp_path):
    thresholds.write(tmp_path / thresholds.FILE, Threshold(0.4, score="visual"))
    saved_model.export(own_export, tmp_path / thresholds.FILE, tmp_path / "again")
    info = export_info.read_info(export_info.find(tmp_path / "again"))
    assert info.heads == {"visual": "own", "audio": "own"}
    assert info.told_streams == ("visual", "audio")


def test_a_threshold_of_a_head_that_was_not_trained_is_refused(run_dir, tmp_path):
    thresholds.write(tmp_path / thresholds.FILE, Threshold(0.4, score="visual"))
    with pytest.raises(InputError, match="trained no visual head"):
        saved_model.export(run_dir, tmp_path / thresholds.FILE, tmp_path / "model")
