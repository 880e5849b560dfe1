import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tests import tracks
from tfmds.common.errors import InputError
from tfmds.data.records import TrackSegment, encode
from tfmds.exporting import export_info, light_model, loading

RECORDS = [
    tracks.record(tracks.video("a"), num_frames=95, start_seconds=2.0, seed=40),
    tracks.record(tracks.video("b"), num_frames=40, seed=90),
]


def test_it_gives_what_the_saved_model_gives(export_dir):
    light, full = light_model.load(export_dir), loading.load(export_dir)
    chunks = [
        tracks.record(tracks.video("c"), num_frames=30, seed=seed) for seed in range(3)
    ]
    np.testing.assert_allclose(
        light.score(chunks)["distance"], full.score(chunks)["distance"], atol=1e-4
    )
    pairs = zip(light.lags(RECORDS), full.lags(RECORDS), strict=True)
    for (starts, found), (expected_starts, expected) in pairs:
        np.testing.assert_allclose(starts, expected_starts, atol=1e-5)
        # What there is not is not there in both.
        np.testing.assert_allclose(found, expected, atol=1e-4)
    info = export_info.read_info(export_info.find(export_dir))
    assert light.model_id == info.model_id
    assert light.threshold == info.threshold


def test_the_starter_gives_the_same_in_both_forms():
    light, full = light_model.load(None), loading.load(None)
    assert light is not None
    rng = np.random.default_rng(0)
    size = light.spec.crop_size
    coarse = rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    frames = [
        cv2.imencode(".jpg", cv2.resize(picture, (size, size)))[1].tobytes()
        for picture in coarse
    ]
    mfcc = rng.normal(size=(light.spec.mfcc_frames_in(60), 13)).astype(np.float32)
    segment = TrackSegment(frames, mfcc, 0.0, 0, np.zeros((60, 4), np.float32))
    record = encode(segment, tracks.video("a"), 2.0)
    ((_, found),) = light.lags([record])
    ((_, expected),) = full.lags([record])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_weights_are_stored_once(export_dir):
    folder = export_info.find(export_dir)
    sizes = [(folder / name).stat().length for name in export_info.LIGHT_FILES]
    assert sum(sizes) < 60_000


def test_graphs_of_another_model_or_none_are_refused(export_dir, tmp_path):
    copy = tmp_path / "1"
    shutil.copytree(export_dir / "1", copy)
    info = copy / "assets" / export_info.INFO_FILE
    told = export_info.read_info(copy)
    info.write_text(info.read_text().replace(told.model_id, "another"))
    with pytest.raises(InputError, match="is of the model"):
        light_model.load(tmp_path)
    (copy / export_info.LIGHT_FILES[0]).write_bytes(b"no graph")
    with pytest.raises(InputError, match="damaged"):
        light_model.load(tmp_path)
    (copy / export_info.LIGHT_FILES[0]).unlink()
    assert light_model.load(tmp_path) is None


def test_a_video_is_judged_without_tensorflow(tmp_path, monkeypatch):
    for name in ("tensorflow", "keras"):
        text = f'raise RuntimeError("{name} was imported")'
        (tmp_path / f"{name}.py").write_text(text)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r});"
        "from tests import media; import pathlib, numpy as np;"
        f"path = media.write_video(pathlib.Path({str(tmp_path / 'v.mp4')!r}),"
        " (media.talking_head(mouth=i % 6 / 6) for i in range(75)), 30,"
        " media.tone(2.5));"
        "sys.argv = ['detect', path]; sys.orig_argv = sys.argv;"
        "import runpy; runpy.run_module('tfmds.detect', run_name='__main__')"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "was imported" not in run.stderr
    assert "v.mp4" in run.stdout, run.stderr
    assert run.returncode in (0, 1, 3), run.stderr
