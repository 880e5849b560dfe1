import av
import numpy as np
import pytest

from tfmds.preprocessing.picture import Picture
from tfmds.preprocessing.shots import mark_cuts

RNG = np.random.default_rng(0)


def room(seed):
    small = np.random.default_rng(seed).integers(0, 256, (6, 8))
    return np.kron(small, np.ones((20, 20))).astype(np.float32)


def cuts(pictures):
    frames = [
        Picture.from_frame(
            av.VideoFrame.from_ndarray(np.clip(p, 0, 255).astype(np.uint8), "gray")
        )
        for p in pictures
    ]
    marked = list(mark_cuts(frames))
    assert [picture for picture, _ in marked] == frames
    return [i for i, (_, is_cut) in enumerate(marked) if is_cut]


def test_finds_a_cut_in_noise():
    shots = [room(1)] * 10 + [room(2)] * 10 + [room(3)] * 5
    noisy = [shot + RNG.normal(0, 5, shot.shape) for shot in shots]
    assert cuts(noisy) == [10, 20]


@pytest.mark.parametrize("length", [1, 3])
def test_a_flash_is_no_cut(length):
    pictures = [room(1)] * 12
    pictures[5 : 5 + length] = [np.full((120, 160), 255.0)] * length
    assert cuts(pictures) == []


def test_a_moving_camera_is_no_cut():
    wide = np.hstack([room(i) for i in range(3)])
    assert cuts([wide[:, x : x + 160] for x in range(0, 300, 4)]) == []


def test_a_cut_near_the_end_is_found():
    assert cuts([room(1)] * 8 + [room(2)] * 2) == [8]
