import numpy as np
import pytest

from tfmds.preprocessing import crops, faces


def box(x, y=100.0, size=60.0):
    return np.array([x - size / 2, y - size / 2, x + size / 2, y + size / 2])


def test_smoothing_removes_an_outlier_and_keeps_a_rest():
    boxes = np.stack([box(100)] * 30)
    boxes[12] = box(300, size=200)
    smoothed = crops.smooth(boxes, 0, 30, 13)
    np.testing.assert_allclose(smoothed, [[100, 100, 60, 60, 60]] * 30)


def test_smoothing_in_pieces_equals_the_whole():
    boxes = np.random.default_rng(0).uniform(0, 100, (40, 4))
    whole = crops.smooth(boxes, 0, 40, 13)
    piece = crops.smooth(boxes[14:36], 6, 10, 13)
    np.testing.assert_allclose(piece, whole[20:24])


def test_crop_reaches_as_far_as_in_the_paper():
    window = crops.crop_window(x=200, y=100, side=50)
    assert window.left == pytest.approx(200 - 1.4 * 25)
    assert window.left + window.side == pytest.approx(200 + 1.4 * 25)
    assert window.top == pytest.approx(100 - 25)
    assert window.top + window.side == pytest.approx(100 + 1.8 * 25)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_kept_holds_every_crop_of_a_box_that_can_be_linked(seed):
    rng = np.random.default_rng(seed)
    last = box(300, 300, 80)
    kept = crops.window_until_next(last)
    linked = 0
    for _ in range(500):
        new = last + rng.uniform(-80, 80) * rng.uniform(-1, 1, 4)
        if faces.overlap(last, new) < 0.5:
            continue
        linked += 1
        window = crops.crop_window(
            (new[0] + new[2]) / 2, (new[1] + new[3]) / 2, faces.size_of(new)
        )
        assert kept.left <= window.left
        assert kept.top <= window.top
        assert window.left + window.side <= kept.left + kept.side
        assert window.top + window.side <= kept.top + kept.side
    assert linked > 50
