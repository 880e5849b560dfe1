import json

import keras
import numpy as np
import pytest

from tests import faces
from tests.conftest import assert_refused, run_program
from tfmds.common.errors import InputError
from tfmds.data import face_records
from tfmds.evaluation import thresholds
from tfmds.exporting import picture_form, picture_model
from tfmds.models import checkpoints, run_config
from tfmds.models.config import PictureConfig
from tfmds.models.picture_network import picture_network
from tfmds.models.two_stream import fake_probability

SIZE = 64


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run whose batch norms change something, as after training."""
    keras.utils.set_random_seed(0)
    config = PictureConfig(image_size=SIZE)
    model = picture_network(*config.built_of)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.weights])
    path = tmp_path_factory.mktemp("pictures") / "run"
    run_config.write(path, {"network": "picture", "model": config.to_json()})
    checkpoints.save(path, model, checkpoints.State(step=1, epoch=1, best_step=1))
    return path


@pytest.fixture(scope="module")
def export_dir(run_dir, tmp_path_factory):
    return picture_form.export(run_dir, tmp_path_factory.mktemp("export") / "made")


def pictures(count=5):
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.mark.slow(8)
def test_an_export_says_what_the_network_says(run_dir, export_dir):
    model, _ = checkpoints.load_picture_model(run_dir)
    logits = model({"pictures": pictures()}, training=False)["picture_logits"]
    loaded = picture_model.load(export_dir)
    assert loaded.info.model_id == checkpoints.model_id(run_dir)
    found = loaded.fake_probability(pictures())
    assert found.std() > 1e-3
    np.testing.assert_allclose(found, fake_probability(logits), atol=1e-4)
    # However many there are, each by itself.
    many = loaded.fake_probability(np.concatenate([pictures()] * 4))
    np.testing.assert_allclose(many, np.tile(found, 4), atol=1e-5)
    assert loaded.fake_probability(pictures(0)).shape == (0,)


def test_crops_are_shown_as_records_are(export_dir):
    loaded = picture_model.load(export_dir)
    jpegs = [faces.jpeg(faces.marked(112, 112, (16, 0, 96, 80))) for _ in range(3)]
    views = loaded.views(jpegs)
    assert views.shape == (3, SIZE, SIZE, 3)
    expected = face_records.view(jpegs[0], face_records.IN_TRACK, SIZE)
    np.testing.assert_array_equal(views[1], expected)
    assert loaded.views([]).shape == (0, SIZE, SIZE, 3)


def test_the_threshold_goes_with_it(run_dir, tmp_path):
    path = tmp_path / thresholds.FILE
    model_id = checkpoints.model_id(run_dir)
    thresholds.write(path, thresholds.Threshold(0.75, model_id=model_id))
    made = picture_form.export(run_dir, tmp_path / "export", path)
    assert picture_model.load(made).info.threshold == 0.75
    # It is made anew in its place.
    again = picture_form.export(run_dir, tmp_path / "export")
    assert picture_model.load(again).info.threshold is None
    thresholds.write(path, thresholds.Threshold(0.75, model_id="other"))
    with pytest.raises(InputError, match="chosen with the model other"):
        picture_form.export(run_dir, tmp_path / "other", path)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("picture.onnx", b"cut short", "missing or damaged"),
        ("picture.onnx", None, "missing or damaged"),
        ("picture.json", None, "picture.json: there is no such file"),
        ("picture.json", b"{", "picture.json"),
        ("picture.json", json.dumps({"format_version": 99}).encode(), "99"),
        ("picture.json", json.dumps({"format_version": 1}).encode(), "`model_id`"),
    ],
)
def test_a_damaged_export_is_refused(export_dir, tmp_path, name, content, expected):
    for path in export_dir.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=expected):
        picture_model.load(tmp_path)


def test_no_other_folder_is_overwritten(run_dir, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="holds something else"):
        picture_form.export(run_dir, tmp_path)
    assert (tmp_path / "letter.txt").read_text() == "dear"


@pytest.mark.slow(10)
def test_the_program_exports_runs_of_pictures_without_a_threshold(
    run_dir, export_dir, tmp_path
):
    out = tmp_path / "export"
    done = run_program("tfmds.export", f"--model={run_dir}", f"--output_dir={out}")
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ("picture.onnx", "picture.json"):
        assert (out / name).read_bytes() == (export_dir / name).read_bytes()


def test_two_streams_are_not_exported_without_a_threshold(tmp_path):
    words = (f"--model={tmp_path}", f"--output_dir={tmp_path / 'x'}")
    assert_refused(run_program("tfmds.export", *words), "--threshold is missing")
