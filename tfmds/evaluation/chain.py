"""The chain of seconds behind a course: a hidden Markov model, forward and backward."""

import math
from typing import Protocol

import numpy as np

from tfmds.evaluation import lag_evidence
from tfmds.evaluation.alignment import MAX_IN_STEP, TOLERANCE, USUAL_OFFSET

# Lags that a course knows, in seconds.
MAX_LAG = 1.0

# How far below 0 the fit of a second lies where the voice belongs to the mouth, in
# deviations of the noise, and how much it varies, as a share of that. Of people whom
# the starter never saw it is 2.6 +- 0.9 and half of it.
_DEPTHS = np.array([0.3, 0.7, 1.1, 1.5, 2.0, 2.5, 3.0, 3.5, 4.2])
_USUAL_DEPTH, _DEPTH_SPREAD = 2.6, 0.9
# Share of people who are as likely of any depth.
_ODD_PEOPLE = 0.02
_VARIATIONS = np.array([0.2, 0.6])
# Deviation of a fit where there is none, in units of the noise of a second, and of what
# is left of it where there is one.
_NOISE_WHERE_NONE, _NOISE_WHERE_FIT = 1.07, 1.05
# Seconds overlap their neighbours: so much of their log likelihood is new.
_NEW_SHARE = 0.8
# Share of seconds of which a fit says nothing, and the most that one second may say.
_BLANK = 0.01
_MOST = 9.0

# Chances, a video or a second. Changes from fit to none and of the lag are counted a
# video, so that length does not add to them.
_BEGINS_WITH_NONE = 0.05
_TURNS_TO_NONE = 4.0
_MOST_TURNS = 0.5
_TURNS_BACK = 0.45
_SLIPS = 0.5
_STARTS_TO_CREEP, _STOPS_CREEPING = 0.05, 0.05
# A creeping lag takes a step of the lags in so many of its seconds.
_CREEP = 0.5
_WANDERS = 0.005
_OTHER_SPEAKER = 0.1
_ANY_LAG = 0.05
_NEW_LAG_AT_CUT, _NONE_AT_CUT = 0.2, 0.05
# Fewer seconds than these leave the odds of real videos nearer to those of before: the
# score is lowered by this in proportion, so that one threshold serves all lengths.
_ENOUGH_SECONDS, _SHORT = 10, 1.2
# So many seconds are gone through at a time on the way back.
_BLOCK = 64
# A course that needs a slip or an unusual offset is so much less of an excuse.
_EXCUSE = 0.01


class Cells(Protocol):
    """Evidence by second and face, see `course`: `t` seconds, `w` faces, `n` lags."""

    @property
    def tracks(self) -> np.ndarray:
        """Numbers of the tracks, int `[w, t]`; -1 for none."""

    @property
    def fit(self) -> np.ndarray:
        """By lag, in deviations of the noise, `[w, t, n]`; NaN for none."""

    @property
    def seconds(self) -> np.ndarray:
        """How much was compared, `[w, t]`."""

    @property
    def is_cut(self) -> np.ndarray:
        """Whether no face is of the second before, bool `[t]`."""


class Chain:
    """The chain of a video: depth x (none, or who) x (steady, later, earlier) x lag.

    A state is kept as an array `[d, 1 + w, 3, n]`: `d` depths and variations of a fit,
    no mouth or one of `w` faces, how the lag moves, and which it is.
    """

    def __init__(self, cells: Cells):
        self._cells = cells
        self._grid = lag_evidence.lags()[lag_evidence.lags_within(MAX_LAG)]
        self._near = np.abs(self._grid - USUAL_OFFSET) <= MAX_IN_STEP + 1e-6
        usual = np.exp(-0.5 * ((self._grid - USUAL_OFFSET) / TOLERANCE) ** 2)
        usual = np.where(self._near, usual, 0) / usual[self._near].sum()
        self._lag = (1 - _ANY_LAG) * usual + _ANY_LAG / len(self._grid)
        depth = np.exp(-0.5 * ((_DEPTHS - _USUAL_DEPTH) / _DEPTH_SPREAD) ** 2)
        depth = (1 - _ODD_PEOPLE) * depth / depth.sum() + _ODD_PEOPLE / len(_DEPTHS)
        self._depth = np.repeat(depth, len(_VARIATIONS)) / len(_VARIATIONS)
        length, faces = cells.tracks.shape[1], len(cells.tracks)
        self._slip = min(0.2, _SLIPS / length)
        self._creep = min(0.2, _STARTS_TO_CREEP / length)
        turn = min(_MOST_TURNS, _TURNS_TO_NONE / length)
        other = _OTHER_SPEAKER if faces > 1 else 0.0
        self._turn = np.zeros((1 + faces, 1 + faces))
        self._turn[0] = [1 - _TURNS_BACK, *[_TURNS_BACK / faces] * faces]
        self._turn[1:, 0] = turn
        for face in range(1, 1 + faces):
            self._turn[face, 1:] = (1 - turn) * other / max(1, faces - 1)
            self._turn[face, face] = (1 - turn) * (1 - other)
        self._length = length

    def _weights(self, t: int) -> tuple[np.ndarray, float]:
        """Of what was measured in second `t`, `[d, 1 + w, 1, n]`, and their log scale.

        Likelihood of a fit at each lag against none.
        """
        depth = np.repeat(_DEPTHS, len(_VARIATIONS))[:, None, None]
        varies = np.tile(_VARIATIONS, len(_DEPTHS))[:, None, None]
        fit = self._cells.fit[None, :, t]
        mean = depth * np.sqrt(self._cells.seconds[None, :, t, None])
        deviation = np.hypot(_NOISE_WHERE_FIT, varies * mean)
        said = (
            -0.5 * np.square((np.nan_to_num(fit) + mean) / deviation)
            + 0.5 * np.square(np.nan_to_num(fit) / _NOISE_WHERE_NONE)
            + np.log(_NOISE_WHERE_NONE / deviation)
        )
        said = np.logaddexp(math.log(1 - _BLANK) + said, math.log(_BLANK))
        said = np.where(np.isnan(fit), 0.0, np.minimum(said, _MOST) * _NEW_SHARE)
        # Who is not in view does not speak while somebody else is.
        said[:, self._cells.tracks[:, t] < 0] = -20.0
        said = np.concatenate([np.zeros_like(said[:, :1]), said], axis=1)
        scale = float(said.max())
        return np.exp(said - scale)[:, :, None], scale

    def forward(self) -> None:
        """Goes through the seconds; sets `score` and what `backward` needs."""
        faces = len(self._cells.tracks)
        begin = np.zeros((len(self._depth), 1 + faces, 3, len(self._grid)))
        prior = self._depth[:, None] * self._lag
        begin[:, 0, 0] = prior * _BEGINS_WITH_NONE
        begin[:, 1:, 0] = (prior * (1 - _BEGINS_WITH_NONE) / faces)[:, None]
        always = np.ones_like(begin)
        fits = np.broadcast_to(np.arange(1 + faces)[:, None, None] > 0, begin.shape[1:])
        plain = fits & self._near & (np.arange(3)[:, None] == 0)
        walks = {
            (name, measured): _Walk(begin, mask)
            for name, mask in (("all", always), ("fits", fits), ("in step", plain))
            for measured in (True, False)
        }
        self._begins = []
        for t in range(self._length):
            weights, scale = self._weights(t)
            for (name, measured), walk in walks.items():
                if t:
                    slips = name != "in step"
                    walk.go(self._step(walk.state, t, slips))
                if measured:
                    walk.weigh(weights, scale)
            if t % _BLOCK == 0:
                self._begins.append(walks["all", True].state)
        names = ("all", "fits", "in step")
        after, before = ({n: walks[n, m].log for n in names} for m in (True, False))
        short = max(0.0, 1 - self._length / _ENOUGH_SECONDS)
        self.score = _odds(after) - _odds(before) - _SHORT * short

    def _step(self, state: np.ndarray, t: int, slips: bool = True) -> np.ndarray:
        """To second `t` from the one before."""
        if self._cells.is_cut[t]:
            return self._cut(state)
        state = np.einsum("dwmn,wv->dvmn", state, self._turn)
        steady, later, earlier = np.moveaxis(state, 2, 0)
        moved = np.empty_like(state)
        stays = 1 - self._slip - self._creep
        wander = (_up(steady) + _down(steady)) / 2
        moved[:, :, 0] = stays * ((1 - _WANDERS) * steady + _WANDERS * wander)
        if slips:
            total = steady.sum(axis=-1, keepdims=True)
            moved[:, :, 0] += self._slip * total / len(self._grid)
        moved[:, :, 0] += _STOPS_CREEPING * (later + earlier)
        for way, creeping, shift in ((1, later, _up), (2, earlier, _down)):
            kept = (1 - _STOPS_CREEPING) * creeping + self._creep / 2 * steady
            moved[:, :, way] = (1 - _CREEP) * kept + _CREEP * shift(kept)
        return moved

    def _step_back(self, ahead: np.ndarray, t: int) -> np.ndarray:
        """The transpose of `_step`."""
        if self._cells.is_cut[t]:
            return self._cut_back(ahead)
        steady, later, earlier = np.moveaxis(ahead, 2, 0)
        moved = np.empty_like(ahead)
        stays = 1 - self._slip - self._creep
        wander = (_up(steady, True) + _down(steady, True)) / 2
        moved[:, :, 0] = stays * ((1 - _WANDERS) * steady + _WANDERS * wander)
        moved[:, :, 0] += self._slip * steady.mean(axis=-1, keepdims=True)
        for way, creeping, shift in ((1, later, _up), (2, earlier, _down)):
            kept = (1 - _CREEP) * creeping + _CREEP * shift(creeping, True)
            moved[:, :, 0] += self._creep / 2 * kept
            moved[:, :, way] = _STOPS_CREEPING * steady + (1 - _STOPS_CREEPING) * kept
        return np.einsum("wv,dvmn->dwmn", self._turn, moved)

    def _cut(self, state: np.ndarray) -> np.ndarray:
        """Another scene: who is seen is new, the lag is mostly that of before."""
        lag = state.sum(axis=(0, 1, 2))
        lag = (1 - _NEW_LAG_AT_CUT) * lag + _NEW_LAG_AT_CUT * lag.sum() * self._lag
        new = np.zeros_like(state)
        every = self._depth[:, None] * lag
        new[:, 0, 0] = _NONE_AT_CUT * every
        new[:, 1:, 0] = ((1 - _NONE_AT_CUT) * every / (state.shape[1] - 1))[:, None]
        return new

    def _cut_back(self, ahead: np.ndarray) -> np.ndarray:
        fits = ahead[:, 1:, 0].mean(axis=1)
        every = _NONE_AT_CUT * ahead[:, 0, 0] + (1 - _NONE_AT_CUT) * fits
        lag = self._depth @ every
        lag = (1 - _NEW_LAG_AT_CUT) * lag + _NEW_LAG_AT_CUT * (self._lag @ lag)
        return np.broadcast_to(lag, ahead.shape).copy()

    def backward(self) -> None:
        """Goes back; sets what each second is likely to be, given all of them."""
        self.none, self.out_of_step, self.offset = np.empty((3, self._length))
        self.speaker = np.empty(self._length, int)
        ahead = np.ones_like(self._begins[0])
        for block in range(len(self._begins) - 1, -1, -1):
            # States of an hour take more memory than they take time.
            first = block * _BLOCK
            weights = [
                self._weights(t)[0]
                for t in range(first, min(first + _BLOCK, self._length))
            ]
            states = [self._begins.pop()]
            for t, weight in enumerate(weights[1:], start=first + 1):
                state = self._step(states[-1], t) * weight
                states.append(state / state.sum())
            for t in range(first + len(states) - 1, first - 1, -1):
                likely = states.pop() * ahead
                self._tell(t, likely / likely.sum())
                ahead = ahead * weights.pop()
                ahead /= ahead.max()
                ahead = self._step_back(ahead, t)

    def _tell(self, t: int, likely: np.ndarray) -> None:
        fits = likely[:, 1:].sum(axis=(0, 2))
        self.none[t] = likely[:, 0].sum()
        self.out_of_step[t] = fits[:, ~self._near].sum()
        self.speaker[t] = self._best(t, fits.sum(axis=1))
        self.offset[t] = _peak(self._grid, fits.sum(axis=0))

    def _best(self, t: int, fits: np.ndarray) -> int:
        """Who is likeliest to speak, among those in view."""
        return int(np.argmax(np.where(self._cells.tracks[:, t] >= 0, fits, -1)))


class _Walk:
    """States of a chain as they are summed up, scaled, with the log of the scale."""

    def __init__(self, begin: np.ndarray, mask: np.ndarray):
        self._mask = mask
        self.log = 0.0
        self.state = begin
        self.go(begin)

    def go(self, state: np.ndarray) -> None:
        """To the next second, by the states that are allowed."""
        self._scaled(np.where(self._mask, state, 0.0))

    def weigh(self, weights: np.ndarray, log_scale: float) -> None:
        """By what was measured."""
        self._scaled(self.state * weights)
        self.log += log_scale

    def _scaled(self, state: np.ndarray) -> None:
        total = state.sum()
        self.state = state / total
        self.log += math.log(total)


def _odds(log: dict[str, float]) -> float:
    """Log odds of courses with a second that fits none against those without."""
    with_none = log["all"] + math.log(max(-math.expm1(log["fits"] - log["all"]), 1e-12))
    return with_none - float(
        np.logaddexp(log["in step"], math.log(_EXCUSE) + log["fits"])
    )


def _up(values: np.ndarray, back: bool = False) -> np.ndarray:
    """Each lag's value at the next one, the last keeps its own; or the transpose."""
    moved = np.empty_like(values)
    if back:
        moved[..., :-1] = values[..., 1:]
        moved[..., -1] = values[..., -1]
    else:
        moved[..., 1:] = values[..., :-1]
        moved[..., 0] = 0
        moved[..., -1] += values[..., -1]
    return moved


def _down(values: np.ndarray, back: bool = False) -> np.ndarray:
    return _up(values[..., ::-1], back)[..., ::-1]


def _peak(grid: np.ndarray, weight: np.ndarray) -> float:
    """The likeliest lag, as the mean over its neighbours."""
    at = int(np.argmax(weight))
    near = slice(max(0, at - 2), at + 3)
    total = weight[near].sum()
    if not total:
        return float(grid[at])
    return round(float(grid[near] @ weight[near] / total), 3)
