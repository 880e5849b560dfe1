import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests import tracks
from tfmds.common.errors import InputError
from tfmds.data import decode, input_pipeline
from tfmds.evaluation import thresholds
from tfmds.exporting import export_info, loading, saved_model
from tfmds.models import checkpoints, run_config
from tfmds.spec import ViewConfig


def chunks(n: int, size: int = 224) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (n, 30, 8, 8, 3), dtype=np.uint8)
    return {
        "frames": coarse.repeat(size // 8, 2).repeat(size // 8, 3),
        "mfcc": rng.normal(size=(n, 13, 99)).astype(np.float32),
    }


def test_export_answers_as_the_keras_model_does(run_dir, export_dir):
    batch = chunks(3)
    export_info = loading.load(export_dir).signatures["serving_default"]
    got = export_info(**{name: tf.constant(value) for name, value in batch.items()})
    model, config, _ = checkpoints.load_model(run_dir)
    view = config.view
    batch["frames"] = decode.crop_frames(batch["frames"], view)
    expected = model.predict_on_batch(batch)
    np.testing.assert_allclose(got["distance"], expected["distance"], atol=1e-4)
    for stream in ("visual", "audio"):
        logits = expected[f"{stream}_logits"].astype(float)
        fake = 1 / (1 + np.exp(logits[:, 1] - logits[:, 0]))
        np.testing.assert_allclose(got[f"{stream}_fake_probability"], fake, rtol=1e-3)


def test_examples_are_cut_into_chunks_and_scored_as_crops_are(export_dir):
    videos = [tracks.video("a"), tracks.video("b")]
    records = [
        tracks.record(videos[0], num_frames=95, start_seconds=2.0, seed=40),
        tracks.record(videos[1], num_frames=60, seed=90),
    ]
    signatures = loading.load(export_dir).signatures
    got = signatures["examples"](examples=tf.constant(records))
    assert got["example"].numpy().tolist() == [0, 0, 0, 1, 1]
    assert got["start_seconds"].numpy().tolist() == [2, 3, 4, 0, 1]
    track = input_pipeline.parse_track(records[1], tracks.SPEC)
    frames = tf.stack([tf.io.decode_jpeg(jpeg) for jpeg in track["frames"][30:60]])
    alone = signatures["serving_default"](
        frames=frames[None], mfcc=tf.transpose(track["mfcc"][100:199])[None]
    )
    np.testing.assert_allclose(got["distance"][4], alone["distance"][0], rtol=1e-3)


def test_export_runs_without_keras_and_tfmds(export_dir):
    code = f"""
import sys
sys.modules["keras"] = sys.modules["tfmds"] = None
import numpy as np, tensorflow as tf
f = tf.saved_model.load({str(export_dir / "1")!r}).signatures["serving_default"]
out = f(frames=tf.zeros([2, 30, 100, 80, 3], tf.uint8), mfcc=tf.zeros([2, 13, 99]))
assert out["distance"].shape == (2,)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")


def test_spec_and_threshold_travel_inside(export_dir, run_dir, tmp_path):
    first, moved = tmp_path / "first", tmp_path / "moved"
    shutil.copytree(export_dir, first)
    first.rename(moved)
    loaded = loading.load(moved)
    assert loaded.spec == tracks.SPEC
    assert loaded.threshold.value == 0.5
    assert loaded.model_id == checkpoints.model_id(run_dir)


def test_a_threshold_of_another_model_is_refused(run_dir, tmp_path):
    path = tmp_path / "threshold.json"
    thresholds.write(path, thresholds.Threshold(0.5, model_id="other"))
    with pytest.raises(InputError, match="chosen with the model other"):
        saved_model.export(run_dir, path, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_foreign_files_are_not_overwritten(run_dir, threshold_file, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="no export"):
        saved_model.export(run_dir, threshold_file, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_folder_that_is_no_export_or_an_old_one_is_refused(export_dir, tmp_path):
    with pytest.raises(InputError, match="not an exported model"):
        loading.load(tmp_path)
    copy = tmp_path / "2"
    shutil.copytree(export_dir / "1", copy)
    info = copy / "assets" / "tfmds_export.json"
    about = json.loads(info.read_text())
    for damage, message in (
        (json.dumps(about | {"format_version": 0}), "format version 0"),
        (json.dumps({"format_version": 1}), "lacks spec, threshold, model_id"),
        ("{", "line 1: not valid JSON"),
    ):
        info.write_text(damage)
        with pytest.raises(InputError, match=message):
            loading.load(tmp_path)
    info.write_text(json.dumps(about))
    (copy / "saved_model.pb").write_bytes(b"no graph")
    with pytest.raises(InputError, match="damaged"):
        loading.load(tmp_path)


def test_without_weights_of_its_own_the_package_asks_for_a_model(monkeypatch, tmp_path):
    monkeypatch.setattr(export_info, "_STARTER", tmp_path / "none")
    with pytest.raises(InputError, match="name one with --model"):
        export_info.find(None)


def test_each_export_is_the_next_version_and_the_newest_is_used(
    export_dir, run_dir, tmp_path
):
    path = tmp_path / thresholds.FILE
    thresholds.write(path, thresholds.Threshold(0.7))
    shutil.copytree(export_dir, tmp_path / "export")
    written = saved_model.export(run_dir, path, tmp_path / "export")
    assert written.name == "2"
    assert loading.load(tmp_path / "export").threshold.value == 0.7
    assert loading.load(tmp_path / "export" / "1").threshold.value == 0.5


def test_nothing_that_only_training_needs_is_exported(export_dir):
    module = tf.saved_model.load(str(export_dir / "1"))
    nodes = module.signatures["serving_default"].graph.as_graph_def(True)
    names = {n.name for f in nodes.library.function for n in f.node_def}
    names |= {node.name for node in nodes.node}
    assert any("visual_stem_conv" in name for name in names)
    assert not [n for n in names if "_bn" in n or "batchnorm" in n or "dropout" in n]


def test_an_export_tells_about_itself_over_the_wire(export_dir):
    about = loading.load(export_dir).signatures["about"](tf.constant(["", ""]))
    said = [json.loads(text) for text in about["about"].numpy()]
    assert said[0] == said[1]
    info = export_info.ExportInfo.from_json(said[0], "the wire")
    assert info == export_info.read_info(export_info.find(export_dir))


def test_warm_up_requests_can_be_asked(export_dir):
    from tensorflow_serving.apis import prediction_log_pb2

    path = export_dir / "1" / "assets.extra" / "tf_serving_warmup_requests"
    signatures = loading.load(export_dir).signatures
    asked = []
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        request = log.predict_log.request
        name = request.model_spec.signature_name
        inputs = {key: tf.make_ndarray(x) for key, x in request.inputs.items()}
        got = signatures[name](**{k: tf.constant(v) for k, v in inputs.items()})
        assert len(next(iter(got.values()))) == 1
        asked.append(name)
    assert asked == ["serving_default", "examples", "lags"]


@pytest.mark.slow(10)
def test_other_formats_answer_the_same(run_dir, export_dir, threshold_file, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs Python 3.11")
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")

    about = json.loads((export_dir / "1/assets/tfmds_export.json").read_text())
    size = about["model"]["image_size"]
    view = ViewConfig(size, about["model"]["region"])
    batch = chunks(3)
    exported_model = loading.load(export_dir).signatures["serving_default"]
    expected = exported_model(**{k: tf.constant(v) for k, v in batch.items()})
    batch["frames"] = decode.crop_frames(batch["frames"], view).numpy()

    path = saved_model.export(run_dir, threshold_file, tmp_path / "onnx", "onnx")
    session = onnxruntime.InferenceSession(str(path / "model.onnx"))
    names = [output.name for output in session.get_outputs()]
    onnx = dict(zip(names, session.run(None, batch), strict=True))

    path = saved_model.export(run_dir, threshold_file, tmp_path / "litert", "litert")
    runner = interpreter.Interpreter(str(path / "model.tflite"))
    litert = runner.get_signature_runner()(**batch)
    for got in (onnx, litert):
        embeddings = {"visual_embedding", "audio_embedding"}
        assert set(got) == set(expected) | embeddings
        for name, value in expected.items():
            np.testing.assert_allclose(got[name], value, atol=1e-4)
        apart = got["visual_embedding"] - got["audio_embedding"]
        distance = np.linalg.norm(apart, axis=1)
        np.testing.assert_allclose(distance, expected["distance"], atol=1e-4)
    with pytest.raises(InputError, match="for other runtimes"):
        loading.load(path)


@pytest.mark.parametrize("trained", [{"visual": 1.0, "audio": 0.0}, {}])
def test_heads_that_were_never_trained_do_not_answer(
    run_dir, threshold_file, tmp_path, trained
):
    recipe = {f"{s}_weight": trained.get(s, 0.0) for s in ("visual", "audio")}
    recipe["contrastive_weight"] = 1.0
    shutil.copytree(run_dir, tmp_path / "run")
    run_config.write(
        tmp_path / "run", {**run_config.of_run(tmp_path / "run"), "recipe": recipe}
    )
    saved_model.export(tmp_path / "run", threshold_file, tmp_path / "first")
    # An export is written anew without what it does not keep.
    saved_model.export(tmp_path / "first", threshold_file, tmp_path / "second")
    batch = {name: tf.constant(value) for name, value in chunks(2).items()}
    expected = loading.load(tmp_path / "first").signatures["serving_default"](**batch)
    got = loading.load(tmp_path / "second").signatures["serving_default"](**batch)
    heads = {f"{s}_fake_probability" for s, weight in trained.items() if weight}
    assert set(got) == set(expected) == {"distance", *heads}
    for name, value in got.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5)
