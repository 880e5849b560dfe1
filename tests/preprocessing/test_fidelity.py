"""Crops and MFCC of a chunk against references written from the paper's formulas."""

import av
import numpy as np
import pytest
import python_speech_features

from tfmds import spec
from tfmds.preprocessing import crops
from tfmds.preprocessing.mfcc import mfcc
from tfmds.preprocessing.picture import Picture

SPEC = spec.ChunkSpec()
RATE = SPEC.sample_rate
# (left, top, right, bottom); the crops of the last three reach beyond the picture.
BOXES = [
    (60, 50, 100, 110),
    (61.3, 47.8, 110.9, 92.4),
    (2.5, 3.25, 42.5, 51.25),
    (130, 90, 159, 119.5),
    (-10, 70.5, 30, 118.5),
]


@pytest.fixture(scope="module")
def picture():
    """Smooth, so that no filter's taste matters, `[120, 160]`."""
    y, x = np.mgrid[0:120, 0:160]
    rgb = [
        128 + 100 * np.sin(x / 9) * np.cos(y / 14),
        40 + 1.2 * y,
        30 + 90 * (1 + np.sin((x + y) / 17)),
    ]
    rgb = np.stack(rgb, axis=-1).round().astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format="yuv444p")
    return Picture.from_frame(frame)


def reference_crop(rgb: np.ndarray, box, size: int) -> np.ndarray:
    """The paper's rule, pixel by pixel; outside of the picture is grey (110)."""
    left, top, right, bottom = box
    s = max(right - left, bottom - top) / 2
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    first_x, last_x = middle_x - 1.4 * s, middle_x + 1.4 * s
    first_y, last_y = middle_y - s, middle_y + 1.8 * s
    padded = np.pad(rgb, ((100, 100), (100, 100), (0, 0)), constant_values=110)
    crop = np.zeros((size, size, 3))
    for i in range(size):
        for j in range(size):
            y = first_y + (i + 0.5) * (last_y - first_y) / size - 0.5 + 100
            x = first_x + (j + 0.5) * (last_x - first_x) / size - 0.5 + 100
            y0, x0 = int(np.floor(y)), int(np.floor(x))
            for row, wy in ((y0, 1 - (y - y0)), (y0 + 1, y - y0)):
                for column, wx in ((x0, 1 - (x - x0)), (x0 + 1, x - x0)):
                    crop[i, j] += wy * wx * padded[row, column]
    return crop


@pytest.mark.parametrize("box", BOXES)
def test_a_crop_is_the_papers_to_rounding(picture, box):
    box = np.array(box, np.float64)
    (x, y, _, _, side), *_ = crops.smooth(box[None], 0, 1, 13)
    window = crops.crop_window(x, y, side)
    size = round(window.side)
    expected = reference_crop(picture.scaled(1.0), box, size)
    difference = np.abs(picture.crop(window, size) - expected)
    # At a side of a whole number of pixels nothing is scaled.
    whole = window.side == size
    assert difference.mean() < (0.6 if whole else 1.0)
    inner = difference if whole else difference[2:-2, 2:-2]
    assert np.percentile(inner, 99) <= 3


def test_mfcc_of_a_chunk_differ_from_its_own_only_where_it_was_cut():
    rng = np.random.default_rng(0)
    t = np.arange(3 * RATE) / RATE
    sound = 0.2 * np.sin(2 * np.pi * 150 * t * (1 + 0.1 * t)) * np.sin(9 * t) ** 2
    sound += 0.01 * rng.normal(size=len(t))
    track = mfcc(sound, SPEC)
    for second in range(3):
        own = python_speech_features.mfcc(
            sound[second * RATE : (second + 1) * RATE] * 32_768, RATE, nfft=2048
        )
        chunk = track[second * 100 : second * 100 + SPEC.num_mfcc_frames]
        same = np.abs(chunk - own).max(axis=1) < 1e-3
        # The original knows no sample before the chunk, for the pre-emphasis, and
        # fills the last window with zeros.
        assert same[1:-1].all()
        assert same[0] == (second == 0)
        assert same[-1] == (second == 2)
