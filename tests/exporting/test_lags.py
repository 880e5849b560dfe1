import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests import tracks
from tfmds.common.errors import InputError
from tfmds.data import decode, input_pipeline
from tfmds.evaluation import lag_evidence, thresholds
from tfmds.exporting import export_info, loading, saved_model
from tfmds.models import checkpoints
from tfmds.models.two_stream import single_streams


def test_distances_by_lag_are_those_of_the_streams_embeddings(export_dir, run_dir):
    records = [
        tracks.record(tracks.video("a"), num_frames=95, start_seconds=2.0, seed=40),
        tracks.record(tracks.video("b"), num_frames=40, seed=90),
    ]
    found = loading.load(export_dir).lags(records)
    model, config, spec = checkpoints.load_model(run_dir)
    see, hear = single_streams(model)
    for record, begin, (starts, distances) in zip(records, (2, 0), found, strict=True):
        track = input_pipeline.parse_track(record, spec)
        frames = decode.decode_frames(track["frames"], spec, config.view)
        first = np.arange(0, len(frames) - 29, 6)
        np.testing.assert_allclose(starts, begin + first / 30, atol=1e-5)
        sounds = np.arange(0, len(track["mfcc"]) - 98, 4)
        mouth = see(tf.stack([frames[i : i + 30] for i in first]))
        voice = hear(
            tf.stack([tf.transpose(track["mfcc"][i : i + 99]) for i in sounds])
        )
        expected = lag_evidence.distances_by_lag(
            first / 30, np.asarray(mouth), sounds / 100, np.asarray(voice)
        )
        # What there is not is not there in both.
        np.testing.assert_allclose(distances, expected, atol=2e-4)


def test_at_lag_0_it_is_the_distance_of_the_chunk(export_dir):
    record = tracks.record(tracks.video("a"), num_frames=95, seed=3)
    model = loading.load(export_dir)
    ((_, distances),) = model.lags([record])
    chunks = model.signatures["examples"](examples=tf.constant([record]))
    alone = distances[::5, len(lag_evidence.lags()) // 2][: len(chunks["distance"])]
    np.testing.assert_allclose(alone, chunks["distance"], atol=1e-4)


@pytest.mark.slow
def test_an_export_is_renewed_from_itself(export_dir, tmp_path):
    path = tmp_path / thresholds.FILE
    thresholds.write(path, thresholds.Threshold(-1.0, score="aligned"))
    saved_model.export(export_dir, path, tmp_path / "new")
    before, after = (loading.load(p) for p in (export_dir, tmp_path / "new"))
    assert after.model_id == before.model_id
    assert after.threshold.score == "aligned"
    assert after.has_lags
    record = [tracks.record(tracks.video("a"), num_frames=60)]
    answers = [
        model.signatures["examples"](examples=tf.constant(record))
        for model in (before, after)
    ]
    np.testing.assert_array_equal(answers[0]["distance"], answers[1]["distance"])


def test_an_older_export_gives_no_lags_and_takes_no_threshold_of_them(
    export_dir, tmp_path
):
    copy = tmp_path / "1"
    shutil.copytree(export_dir / "1", copy)
    info = copy / "assets" / export_info.INFO_FILE
    about = json.loads(info.read_text())
    del about["lags"]
    info.write_text(json.dumps(about))
    assert not loading.load(tmp_path).has_lags
    about["threshold"]["score"] = "aligned"
    info.write_text(json.dumps(about))
    with pytest.raises(InputError, match="no distances by lag"):
        loading.load(tmp_path)


@pytest.mark.parametrize(
    "outputs",
    [
        {},
        {"example": [0], "start_seconds": [0.0], "distance_by_lag": [[1.0, 2.0]]},
        {"example": [0, 1], "start_seconds": [0.0], "distance_by_lag": [[1.0] * 101]},
    ],
)
def test_what_are_no_distances_by_lag_is_refused(outputs):
    with pytest.raises((KeyError, ValueError)):
        export_info.split_lags(outputs, 1)
