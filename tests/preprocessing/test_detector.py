import subprocess
import sys

import numpy as np
from mtcnn import MTCNN

from tests import media
from tfmds.preprocessing import detector as detector_lib
from tfmds.preprocessing import detector_networks
from tfmds.preprocessing.detector import Detector


def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    heads = [media.talking_head(320, 240, size, 0.5) for size in (60, 110, 180)]
    two = np.concatenate([heads[0][:, :160], heads[0][:, -160:]], axis=1)
    return [*heads, two, rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)]


def test_networks_give_what_those_of_the_package_give():
    rng = np.random.default_rng(1)
    ours = (
        (detector_networks.proposal_network(), 60),
        (detector_networks.refine_network(), 24),
        (detector_networks.output_network(), 48),
    )
    for (session, side), stage in zip(ours, MTCNN().stages, strict=True):
        pixels = rng.integers(0, 256, (2, side, side, 3)).astype(np.float32)
        outputs = stage._model((pixels - 127.5) / 128)
        offsets, *_, classes = map(np.asarray, outputs)
        feeds = {"pixels": pixels}
        if offsets.ndim == 4:
            offsets = offsets.transpose(0, 3, 1, 2)
            classes = classes.transpose(0, 3, 1, 2)
        else:
            feeds["boxes"] = np.tile(np.float32([0, 0, 1, 1]), (2, 1))
            feeds["pictures"] = np.arange(2, dtype=np.int32)
        found = session.run(None, feeds)
        np.testing.assert_allclose(found[0], offsets, atol=1e-4)
        np.testing.assert_allclose(found[1], classes[:, 1:2], atol=1e-4)


def test_faces_of_the_wanted_size_are_found_without_the_largest_scales():
    every = Detector().detect(pictures(), 0.8)
    large = Detector().detect(pictures(), 0.8, min_face_size=120)
    assert [len(boxes) for boxes in every] == [1, 1, 1, 1, 0]
    assert [len(boxes) for boxes in large] == [0, 1, 1, 0, 0]
    for boxes, found in zip(every[1:3], large[1:3], strict=True):
        np.testing.assert_allclose(found, boxes, atol=8)


def test_it_finds_what_the_package_finds():
    found = Detector().detect(pictures(), 0.8)
    package = MTCNN()
    assert any(len(boxes) for boxes in found)
    for picture, boxes in zip(pictures(), found, strict=True):
        expected = package.detect_faces(
            picture, output_type="numpy", box_format="xyxy", fit_to_image=False
        )
        order = np.argsort(-expected[:, 5], kind="stable")
        assert len(boxes) == len(expected)
        # Its pyramid is made by TensorFlow's area resize.
        np.testing.assert_allclose(boxes[:, :4], expected[order, 1:5], atol=1)
        np.testing.assert_allclose(boxes[:, 4], expected[order, 5], atol=0.05)


def test_a_batch_finds_what_each_picture_alone_does():
    detector = Detector()
    for picture, boxes in zip(
        pictures(), detector.detect(pictures(), 0.8), strict=True
    ):
        (alone,) = detector.detect([picture], 0.8)
        np.testing.assert_allclose(boxes, alone, atol=1e-3)


def test_many_faces_are_found_as_few_are(monkeypatch):
    (found,) = Detector().detect([pictures()[3]], 0.8)
    monkeypatch.setattr(detector_lib, "_MOST_BOXES", 3)
    (in_parts,) = Detector().detect([pictures()[3]], 0.8)
    np.testing.assert_allclose(in_parts, found, atol=1e-3)


def test_reading_videos_imports_no_tensorflow():
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None;"
        "import numpy as np; from tfmds.preprocessing import isolation, detector;"
        "detector.shared_detector().detect([np.zeros((48, 48, 3), np.uint8)], 1.0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
