import av
import cv2
import numpy as np
import pytest

from tfmds.preprocessing.picture import Picture, Window


@pytest.fixture(scope="module")
def upright():
    """A smooth picture whose colours tell where a pixel is, `[120, 160, 3]`."""
    y, x = np.mgrid[0:120, 0:160]
    channels = [x * 1.5, y * 2, 128 + 60 * np.sin(x / 15) * np.cos(y / 12)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def picture_of(rgb, turns=0, pixel_format="yuv420p"):
    stored = np.ascontiguousarray(np.rot90(rgb, -turns))
    frame = av.VideoFrame.from_ndarray(stored, "rgb24").reformat(format=pixel_format)
    turn = np.linalg.matrix_power(np.array([[0, 1], [-1, 0]]), turns)
    return Picture.from_frame(frame, turn)


def mean_difference(a, b):
    return np.abs(a.astype(float) - b.astype(float)).mean()


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "rgb24", "nv12"]
)
def test_crop_is_the_window_scaled(upright, turns, pixel_format):
    picture = picture_of(upright, turns, pixel_format)
    crop = picture.crop(Window(30, 20, 80), 40)
    expected = cv2.resize(
        upright[20:100, 30:110], (40, 40), interpolation=cv2.INTER_AREA
    )
    assert crop.shape == (40, 40, 3)
    assert mean_difference(crop, expected) < 4


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_whole_picture_is_upright(upright, turns):
    picture = picture_of(upright, turns)
    assert (picture.width, picture.height) == (160, 120)
    expected = cv2.resize(upright, (80, 60), interpolation=cv2.INTER_AREA)
    assert mean_difference(picture.scaled(0.5), expected) < 4


@pytest.mark.parametrize("turns", [0, 3])
@pytest.mark.parametrize("scale", [1.0, 0.8])
def test_part_crops_like_the_whole(upright, turns, scale):
    picture = picture_of(upright, turns)
    part = picture.part(Window(21, 11, 100), scale)
    assert part.num_bytes() < picture.num_bytes()
    window = Window(40.3, 25.6, 60.2)
    assert mean_difference(part.crop(window, 50), picture.crop(window, 50)) < 3


@pytest.mark.parametrize("turns", [0, 1])
@pytest.mark.parametrize("quarters", range(5))
def test_what_is_turned_again_is_as_if_its_pixels_were(upright, turns, quarters):
    picture = picture_of(upright, turns)
    turned = picture.turned(quarters)
    expected = np.rot90(picture.scaled(0.5), -quarters)
    assert (turned.height, turned.width) == np.rot90(upright, -quarters).shape[:2]
    np.testing.assert_array_equal(turned.scaled(0.5), expected)
    # The same corner of the same thing.
    marked = np.zeros(upright.shape[:2])
    marked[20:50, 30:70] = 1
    rows, columns = np.nonzero(np.rot90(marked, -quarters))
    box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    np.testing.assert_array_equal(turned.as_shown(np.array(box)), [30, 20, 70, 50])


def test_crop_follows_parts_of_a_pixel(upright):
    picture = picture_of(upright, pixel_format="yuv444p")
    lefts = np.arange(40, 42, 0.25)
    crops = [picture.crop(Window(x, 20, 60), 60).astype(float) for x in lefts]
    red = [crop[10:50, 10:50, 0].mean() for crop in crops]
    np.testing.assert_allclose(np.diff(red), 1.5 * 0.25, atol=0.15)


def test_border_is_grey(upright):
    picture = picture_of(upright)
    crop = picture.crop(Window(-40, -40, 80), 80)
    assert (crop[:36, :36] == 110).all()
    assert mean_difference(crop[44:, 44:], upright[4:40, 4:40]) < 6
    assert (picture.crop(Window(500, 500, 50), 20) == 110).all()
