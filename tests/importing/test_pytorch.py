import copy
import dataclasses
import functools
import io
import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import tracks
from tests.conftest import assert_refused, run_program
from tfmds.common.errors import InputError
from tfmds.importing import batch_statistics, pytorch
from tfmds.models import checkpoints, losses
from tfmds.models.two_stream import count_parameters, two_stream

torch = pytest.importorskip("torch")
from tests import torch_reference  # noqa: E402

torch.set_num_threads(1)


def chunks(n: int, size: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "frames": rng.integers(0, 256, (n, 30, size, size, 3), dtype=np.uint8),
        "mfcc": 5 * rng.normal(size=(n, 13, 99)).astype(np.float32),
    }


def answers(net, batch, dtype=torch.float64) -> dict[str, np.ndarray]:
    """Of the reference, in float64 so that its own rounding is no part of a test."""
    net = copy.deepcopy(net).to(dtype)
    with torch.no_grad():
        out = net(*(torch.from_numpy(batch[k]) for k in ("frames", "mfcc")))
    return {name: value.numpy() for name, value in out.items()}


def imported(path, image_size=None):
    model, config = pytorch.network(pytorch.read(path), image_size)
    model.compile(jit_compile=False)
    return model, config


def assert_agree(got, expected, rounding=None):
    """Within 1e-4, or within what `rounding`, PyTorch's own in float32, comes to."""
    for name, value in expected.items():
        # A logit near zero is a difference of large numbers: what counts is the scale.
        allowed = 1e-4 * np.abs(value).max()
        if rounding is not None:
            allowed = max(allowed, 3 * np.abs(rounding[name] - value).max())
        assert np.abs(got[name] - value).max() <= allowed, name


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A ResNet-18 for 32 pixels and its checkpoint."""
    net = torch_reference.random_network("resnet18", 32)
    path = tmp_path_factory.mktemp("torch") / "model_best_epoch48.pth.tar"
    torch_reference.save(net, path)
    return net, path


CASES = [
    ("resnet18", 50, "", True),
    ("resnet50", 32, "module.", False),
] + [
    pytest.param(name, size, "module.", legacy, marks=pytest.mark.heavy)
    for name, size, legacy in (
        ("resnet18", 224, False),
        ("resnet18", 100, True),
        ("resnet50", 64, False),
        ("resnet34", 96, True),
        ("resnet101", 96, False),
        ("resnet152", 96, True),
        ("resnet200", 96, False),
    )
]


@pytest.mark.parametrize(("backbone", "size", "prefix", "legacy"), CASES)
def test_answers_are_those_of_pytorch(backbone, size, prefix, legacy, tmp_path):
    net = torch_reference.random_network(backbone, size)
    path = tmp_path / "model.pth.tar"
    torch_reference.save(net, path, prefix=prefix, legacy=legacy)
    model, config = imported(path, size)
    assert (config.backbone, config.image_size) == (backbone, size)
    counted = sum(parameter.numel() for parameter in net.parameters())
    assert sum(count_parameters(model).values()) == counted
    batch = chunks(2, size)
    # Through 150 random layers float32 alone loses more than 1e-4.
    deep = backbone in ("resnet152", "resnet200")
    rounding = answers(net, batch, torch.float32) if deep else None
    assert_agree(model.predict_on_batch(batch), answers(net, batch), rounding)


def test_a_calibrated_network_is_the_original_on_what_it_was_calibrated_on(small):
    net, path = small
    model, config = imported(path)
    batch = chunks(4, 32)
    expected = answers(net, batch)
    calibrated, config = batch_statistics.with_running_statistics(
        model, config, [batch["frames"]]
    )
    assert not config.visual_batch_statistics
    assert_agree(calibrated.predict_on_batch(batch), expected)
    alone = {name: value[:1] for name, value in batch.items()}
    np.testing.assert_allclose(
        calibrated.predict_on_batch(alone)["distance"],
        expected["distance"][:1],
        rtol=1e-4,
    )


def test_statistics_are_those_of_all_batches_together(small):
    model, config = imported(small[1])
    frames = chunks(6, 32)["frames"]
    split, _ = batch_statistics.with_running_statistics(
        model, config, [frames[:3], frames[3:]]
    )
    whole, _ = batch_statistics.with_running_statistics(model, config, [frames])
    # Only the first norm is given the same numbers however they are batched.
    for a, b in zip(
        split.get_layer("visual_stem_bn").get_weights(),
        whole.get_layer("visual_stem_bn").get_weights(),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_gradients_of_the_papers_loss_are_those_of_pytorch(small):
    net, path = small
    batch, label = chunks(4, 32), np.array([0, 1, 1, 0])
    # Distances of random networks are far above the paper's margin of 0.99.
    margin = 200.0
    net = copy.deepcopy(net).double().train()
    for head in (net.final_fc_lip, net.final_fc_aud):
        head[0].p = 0.0
    out = net(*(torch.from_numpy(batch[k]) for k in ("frames", "mfcc")))
    y, d = torch.from_numpy(label), out["distance"]
    loss = (y * d**2 + (1 - y) * torch.clamp(margin - d, min=0) ** 2).mean()
    for stream in ("visual", "audio"):
        loss = loss + torch.nn.functional.cross_entropy(out[f"{stream}_logits"], y)
    loss.backward()
    assert (d.detach().numpy()[label == 0] < margin).all()

    checkpoint = pytorch.read(path)
    config = pytorch.config_of(checkpoint)
    model = two_stream(dataclasses.replace(config, dropout=0.0))
    pytorch.load_weights(model, checkpoint)
    model.compile(
        loss={
            "distance": losses.ContrastiveLoss(margin),
            "visual_logits": keras.losses.SparseCategoricalCrossentropy(True),
            "audio_logits": keras.losses.SparseCategoricalCrossentropy(True),
        }
    )
    with tf.GradientTape() as tape:
        value = model.compute_loss(
            y=dict.fromkeys(model.output, label), y_pred=model(batch, training=True)
        )
    assert float(value) == pytest.approx(loss.item(), rel=1e-4)
    found = tape.gradient(value, [v.value for v in model.trainable_variables])

    # Gradients have their weights' layout: a network may hold them in their place.
    held = two_stream(config)
    gradients = dict(checkpoint.weights)
    for name, parameter in net.named_parameters():
        gradients[name] = parameter.grad.float().numpy()
    pytorch.load_weights(held, dataclasses.replace(checkpoint, weights=gradients))
    # Biases before a batch norm have no gradient but rounding.
    floor = 1e-6 * max(np.linalg.norm(v.numpy()) for v in held.trainable_variables)
    for mine, theirs in zip(found, held.trainable_variables, strict=True):
        difference = np.linalg.norm(mine.numpy() - theirs.numpy())
        allowed = 5e-3 * np.linalg.norm(theirs.numpy()) + floor
        assert difference <= allowed, theirs.path


import_torch = functools.partial(run_program, "tfmds.import_torch")


def test_the_program_makes_a_run_that_loads(small, tmp_path):
    net, path = small
    run = tmp_path / "run"
    flags = (f"--checkpoint={path}", f"--output={run}")
    done = import_torch(*flags)
    assert done.returncode == 0, done.stderr
    assert "depends on the chunks" in done.stdout
    model, config, spec = checkpoints.load_model(run)
    assert config.visual_batch_statistics
    assert spec == tracks.SPEC
    assert checkpoints.latest_state(run).epoch == 48
    batch = chunks(2, 32)
    assert_agree(model.predict_on_batch(batch), answers(net, batch))
    again = import_torch(*flags)
    assert_refused(again, "holds a run already")


def test_calibration_reads_the_training_split(small, tmp_path):
    data_dir = tracks.data_set_dir(tmp_path / "data", {"train": 3})
    run = tmp_path / "run"
    done = import_torch(
        f"--checkpoint={small[1]}",
        f"--output={run}",
        f"--calibrate_on={data_dir}",
        "--calibration_chunks=8",
    )
    assert done.returncode == 0, done.stderr
    model, config, _ = checkpoints.load_model(run)
    assert not config.visual_batch_statistics
    batch = chunks(3, 32)
    together = model.predict_on_batch(batch)["distance"][0]
    alone = {name: value[:1] for name, value in batch.items()}
    assert model.predict_on_batch(alone)["distance"][0] == pytest.approx(
        together, rel=1e-4
    )


def resaved(path, tmp_path, change):
    content = torch.load(path, weights_only=False)
    change(content["state_dict"])
    changed = tmp_path / "changed.pth.tar"
    torch.save(content, changed)
    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s.pop("module.netcnnlip.layer3.1.conv2.weight"),
            r"missing: netcnnlip\.layer3\.1\.conv2\.weight",
        ),
        (
            lambda s: s.pop("module.netfclip.0.weight"),
            r"missing: netfclip\.0\.weight",
        ),
        (
            lambda s: s.update({"module.netcnnaud.3.weight": torch.zeros(1)}),
            r"surplus: netcnnaud\.3\.weight",
        ),
        (
            lambda s: s.update({"module.final_fc_aud.1.weight": torch.zeros(3, 1024)}),
            r"final_fc_aud\.1\.weight has the shape \[3, 1024\], expected \[2, 1024\]",
        ),
        (
            lambda s: s.update({"module.netfclip.0.weight": torch.zeros(4096, 700)}),
            r"netfclip\.0\.weight has the shape \[4096, 700\]",
        ),
        (
            lambda s: s.update(
                {"module.netcnnlip.layer1.2.bn1.weight": torch.ones(64)}
            ),
            r"\[3, 2, 2, 2\] basic blocks",
        ),
    ],
)
def test_a_key_that_does_not_fit_is_named(small, tmp_path, change, message):
    changed = resaved(small[1], tmp_path, change)
    with pytest.raises(InputError, match=message):
        imported(changed)


def test_counters_of_batches_are_not_needed(small, tmp_path):
    def without_counters(state):
        for key in [k for k in state if k.endswith("num_batches_tracked")]:
            state.pop(key)

    imported(resaved(small[1], tmp_path, without_counters))


def test_another_image_size_is_refused(small):
    checkpoint = pytorch.read(small[1])
    assert pytorch.config_of(checkpoint).image_size == 32
    with pytest.raises(InputError, match="1 to 32 pixels, image_size is 224"):
        pytorch.config_of(checkpoint, 224)


class Trap:
    def __reduce__(self):
        return print, ("this code was run",)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_checkpoint_that_would_run_code_is_refused(tmp_path, capsys, legacy):
    path = tmp_path / "evil.pth.tar"
    torch.save(
        {"state_dict": {}, "least_loss": np.float64(0.5), "more": Trap()},
        path,
        _use_new_zipfile_serialization=not legacy,
    )
    with pytest.raises(InputError, match="could run code"):
        pytorch.read(path)
    assert "this code was run" not in capsys.readouterr().out


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("core", ["core", "_core"])
def test_a_checkpoint_of_train_py_is_read_whatever_numpy_wrote_it(
    small, tmp_path, core, legacy
):
    path = tmp_path / "epoch1.pth.tar"
    torch_reference.save(small[0], path, legacy=legacy)
    content = path.read_bytes()
    written = np.float64(0).__reduce__()[0].__module__.split(".")[1]
    assert f"numpy.{written}.multiarray".encode() in content
    if core != written:
        # Zip files have checksums: it is written anew as another NumPy names it.
        path = renamed(content, f"numpy.{written}.", f"numpy.{core}.", tmp_path)
    checkpoint = pytorch.read(path)
    assert checkpoint.epoch == 48
    expected = small[0].state_dict()["netfclip.0.weight"].numpy()
    np.testing.assert_array_equal(checkpoint.weights["netfclip.0.weight"], expected)


def renamed(content: bytes, before: str, after: str, tmp_path):
    path = tmp_path / "renamed.pth.tar"
    if not zipfile.is_zipfile(io.BytesIO(content)):
        path.write_bytes(content.replace(before.encode(), after.encode()))
        return path
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(path, "w") as new,
    ):
        for name in old.namelist():
            part = old.read(name)
            if name.endswith("data.pkl"):
                part = part.replace(before.encode(), after.encode())
            new.writestr(name, part)
    return path


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "value",
    [np.ones(2), np.datetime64("2020-01-01"), np.float32(1), np.random.default_rng],
    ids=["array", "date", "float32", "function"],
)
def test_other_things_of_numpy_are_refused(tmp_path, value, legacy):
    path = tmp_path / "other.pth.tar"
    torch.save(
        {"state_dict": {}, "least_loss": np.float64(0.5), "more": value},
        path,
        _use_new_zipfile_serialization=not legacy,
    )
    with pytest.raises(InputError, match="could run code"):
        pytorch.read(path)


def test_a_float_that_is_none_is_refused(tmp_path):
    path = tmp_path / "odd.pth.tar"
    torch.save({"least_loss": OddFloat()}, path)
    with pytest.raises(InputError, match="cannot be read as a PyTorch checkpoint"):
        pytorch.read(path)


class OddFloat:
    def __reduce__(self):
        return np.float64(0).__reduce__()[0], (np.dtype("f8"), 5)


def test_files_that_are_no_checkpoints_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        pytorch.read(tmp_path / "missing.pth.tar")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_text(json.dumps({"state_dict": {}}))
    torch.save({"weights": {}}, tmp_path / "other")
    torch.save({"state_dict": {"a": 1}}, tmp_path / "numbers")
    for name in ("empty", "text", "other", "numbers"):
        with pytest.raises(InputError, match=name):
            pytorch.read(tmp_path / name)
