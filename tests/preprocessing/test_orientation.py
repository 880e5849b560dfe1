import cv2
import numpy as np
import pytest

from tests import media as make
from tests.preprocessing.test_tracks import pixels, read
from tfmds import spec
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.orientation import Upright
from tfmds.preprocessing.picture import Picture


def video(path, pictures):
    return make.write_video(path, pictures, 30, make.tone(len(pictures) / 30))


@pytest.fixture(scope="module")
def heads():
    # Not in the middle, so that its box tells how the picture was turned.
    return [
        make.draw_face(np.full((240, 320, 3), 130, np.uint8), 110, 130, 110, mouth)
        for mouth in np.abs(np.sin(np.arange(60) / 3))
    ]


@pytest.fixture(scope="module")
def upright(heads, tmp_path_factory):
    (segment,), summary = read(video(tmp_path_factory.mktemp("v") / "v.mp4", heads))
    assert summary.reason == ""
    return segment


@pytest.mark.parametrize(
    ("quarters", "how"),
    [
        (1, "lies on its side, its top to the right"),
        (2, "stands on its head"),
        (3, "lies on its side, its top to the left"),
    ],
)
def test_a_head_that_lies_is_cut_out_as_if_it_did_not(
    heads, upright, tmp_path, quarters, how
):
    lying = [np.ascontiguousarray(np.rot90(head, -quarters)) for head in heads]
    (segment,), summary = read(video(tmp_path / "v.mp4", lying))
    assert (summary.status, summary.chunks) == (spec.OK, 2)
    assert summary.reason.startswith(f"its picture {how}, and was turned")
    assert (segment.start_seconds, len(segment.frames)) == (0, 60)
    for i in (5, 30, 55):
        crop, expected = pixels(segment.frames[i]), pixels(upright.frames[i])
        # Boxes differ by a pixel or two.
        close = np.abs(crop.astype(int) - expected).mean()
        assert close < 6 < np.abs(crop[::-1].astype(int) - expected).mean()
    # Where the file shows it: the centre goes round as the picture does.
    x, y = upright.boxes[30].reshape(2, 2).mean(axis=0)
    shown = {1: (240 - y, x), 2: (320 - x, 240 - y), 3: (y, 320 - x)}[quarters]
    centre = segment.boxes[30].reshape(2, 2).mean(axis=0)
    np.testing.assert_allclose(centre, shown, atol=2)


def test_scenes_are_turned_each_by_itself(heads, tmp_path):
    shown = 255 - np.rot90(heads[0][:, 40:280], 2) // 3
    shown = np.ascontiguousarray(np.pad(shown, ((0, 0), (40, 40), (0, 0))))
    shown[30:210, 60:200] = np.rot90(heads[0], 2)[30:210, 130:270]
    pictures = heads + [shown] * 62 + heads
    segments, summary = read(video(tmp_path / "v.mp4", pictures))
    starts = [round(s.start_seconds * 30) for s in segments]
    lengths = [len(s.frames) for s in segments]
    assert (starts, lengths) == ([0, 60, 122], [60, 62, 60])
    assert "stands on its head between 2.0 and 4.1 s" in summary.reason


@pytest.mark.parametrize("degrees", [-30, 30])
def test_a_head_that_leans_is_cut_out_as_it_is(heads, tmp_path, degrees):
    matrix = cv2.getRotationMatrix2D((110, 130), degrees, 1)
    leaning = cv2.warpAffine(heads[0], matrix, (320, 240), borderValue=(130,) * 3)
    (segment,), summary = read(video(tmp_path / "v.mp4", [leaning] * 60))
    assert (len(segment.frames), summary.reason) == (60, "")


def test_an_upright_head_is_not_lost_for_a_lying_portrait(heads, tmp_path):
    both = np.full((240, 400, 3), 130, np.uint8)
    make.draw_face(both, 90, 120, 100)
    both[:, 190:400] = cv2.resize(heads[3], (280, 210))[:, :240].transpose(1, 0, 2)
    segments, summary = read(video(tmp_path / "v.mp4", [both] * 60))
    assert summary.reason == ""
    centres = [s.boxes[30, [0, 2]].mean() for s in segments]
    assert min(centres) == pytest.approx(90, abs=8)


def test_pictures_without_faces_are_seldom_turned():
    class Counting:
        asked = 0

        def detect(self, images, *_):
            self.asked += len(images)
            return [np.empty((0, 5))] * len(images)

    detector = Counting()
    search = Upright(detector, PreprocessingConfig())
    frame = make.av.VideoFrame.from_ndarray(np.zeros((60, 80, 3), np.uint8), "rgb24")
    pictures = [Picture.from_frame(frame)] * 48
    for i in range(200):
        search.find(48 * i, pictures, set())
    # Two pictures of each batch, and the first; an eighth more.
    assert 401 < detector.asked < 1.125 * 401
