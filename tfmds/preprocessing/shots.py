"""Where a video cuts from one shot to another."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tfmds.preprocessing.picture import Picture

# Points across the larger side of a picture that are compared.
_POINTS = 96
# Mean difference of brightness (of 255) between two shots, at least.
_DIFFERENCE = 16.0
# The same as a multiple of what motion makes from one picture to the next.
_TIMES_MOTION = 3.0
# Pictures on both sides of a cut that must differ: what is back after fewer was
# a flash.
_AROUND = 6


def mark_cuts(pictures: Iterable[Picture]) -> Iterator[tuple[Picture, bool]]:
    """Tells of each picture whether it begins a new shot.

    Reads some pictures ahead, since what was on screen before a flash is back
    after it.
    """
    before: deque[np.ndarray] = deque(maxlen=_AROUND)
    ahead: deque[tuple[Picture, np.ndarray]] = deque()
    for picture in pictures:
        if ahead and ahead[-1][0] is picture:
            points = ahead[-1][1]
        else:
            step = max(1, max(picture.frame.width, picture.frame.height) // _POINTS)
            points = picture.luma(step).astype(np.float32)
        ahead.append((picture, points))
        if len(ahead) == _AROUND:
            yield _mark_first(before, ahead)
    while ahead:
        yield _mark_first(before, ahead)


def _mark_first(
    before: deque[np.ndarray], ahead: deque[tuple[Picture, np.ndarray]]
) -> tuple[Picture, bool]:
    is_cut = _is_cut(list(before), [points for _, points in ahead])
    if is_cut:
        before.clear()
    picture, points = ahead.popleft()
    before.append(points)
    return picture, is_cut


def _is_cut(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> bool:
    if not before or _difference(before[-1], after[0]) <= _DIFFERENCE:
        return False
    least = max(_DIFFERENCE, _TIMES_MOTION * max(_motion(before), _motion(after)))
    return all(_difference(a, b) > least for a in before for b in after)


def _motion(shot: Sequence[np.ndarray]) -> float:
    """The second largest difference between neighbours: the largest may be a flash."""
    steps = sorted(_difference(a, b) for a, b in zip(shot, shot[1:], strict=False))
    return steps[-2] if len(steps) > 1 else 0.0


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).mean()) if a.shape == b.shape else np.inf
