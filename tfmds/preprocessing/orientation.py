"""Which way up the faces of a video are, where its file does not say so.

The detector knows upright faces. One that lies on its side or stands on its head is
missed, or is taken for an upright one with less confidence, and its landmarks then lie
as if it were upright. So what tells is in which of four turns the detector is surest.
That is asked once in a shot, and only where it is not sure anyway.
"""

import itertools
import math
from collections.abc import Collection, Sequence

import numpy as np

from tfmds.preprocessing import faces
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.detector import Detector
from tfmds.preprocessing.faces import Box
from tfmds.preprocessing.picture import Picture
from tfmds.preprocessing.search import WINDOW_SIZE, Search, window_around

# Evidence is the log odds of a face. Where a picture lies no face on it had so much, of
# upright recordings two in three have it at each look (docs/decisions.md).
_SURE = 6.0
# One turn is known to be right where its evidence is ahead by this much.
_CLEAR = 3.0
# Evidence, summed over the frames that were asked, from which on something in a picture
# without faces is one that lies.
_LIKELY = 8.0
# Frames of a shot that are asked, and faces on each.
_MOST_FRAMES, _MOST_FACES = 3, 3
# Of pictures without faces the 1st, 2nd, 4th, ... stretch is looked at in other turns,
# and each of so many.
_RARELY = 32


class Upright:
    """Finds the faces of a video in pictures that it turns so that they are upright."""

    def __init__(self, detector: Detector, options: PreprocessingConfig):
        self._search = Search(detector, options)
        self._quarters = 0
        # Whether the turn of the shot at hand is known.
        self._is_known = False
        # Stretches without faces, since the last face where pictures are turned.
        self._empty = 0
        self._before: list[Box] | None = None

    def find(
        self, start: int, pictures: Sequence[Picture], cuts: Collection[int]
    ) -> tuple[list[Picture], Collection[int], dict[int, list[Box]]]:
        """Looks for faces on some pictures of a batch, as `Search.find`.

        Args:
          start: Frame of the first picture.
          pictures: The batch, which follows on the one before.
          cuts: Frames that begin a shot.

        Returns:
          The pictures, turned; the cuts, with those where a picture is turned otherwise
          than that before it; the boxes by frame, in the turned pictures.
        """
        stop, old = start + len(pictures), self._quarters
        upright = [picture.turned(old) for picture in pictures]
        found = self._search.find(start, upright, cuts, self._before)
        shots = list(itertools.pairwise([*sorted({start, *cuts}), stop]))
        turns = []
        for begin, end in shots:
            self._is_known &= begin not in cuts
            boxes = {i: found[i] for i in sorted(found) if begin <= i < end}
            turns.append((old + self._turn(boxes, start, upright)) % 4)
        self._quarters = turns[-1]
        if any(turn != old for turn in turns):
            upright = [
                picture.turned(turn)
                for (begin, end), turn in zip(shots, turns, strict=True)
                for picture in pictures[begin - start : end - start]
            ]
            changes = itertools.pairwise([old, *turns])
            cuts = {*cuts} | {
                begin
                for (begin, _), (before, after) in zip(shots, changes, strict=True)
                if before != after
            }
            found = self._search.find(start, upright, cuts, self._before)
        self._before = found[stop - 1]
        return upright, cuts, found

    def _turn(
        self, found: dict[int, list[Box]], start: int, pictures: Sequence[Picture]
    ) -> int:
        """Quarters by which a shot, or what a batch has of it, is to be turned more."""
        wanted = {i: [b for b in found[i] if self._search.is_wanted(b)] for i in found}
        seen = [i for i in wanted if wanted[i]]
        if not seen:
            self._is_known = False
            return self._elsewhere(list(found), start, pictures)
        if self._quarters:
            self._empty = 0
        surest = [_evidence(boxes) for boxes in wanted.values()]
        is_known = self._is_known or np.mean(surest) >= _SURE
        self._is_known = True
        if is_known:
            return 0
        evidence = np.zeros(4)
        asked = _spread(seen)
        for i in asked:
            largest = sorted(wanted[i], key=faces.size_of, reverse=True)[:_MOST_FACES]
            evidence += self._in_turns(pictures[i - start], largest)
            if evidence[0] - evidence[1:].max() >= _CLEAR:
                return 0
        best = int(evidence.argmax())
        # A head that leans by 40 degrees is found in two turns: it stays as it is.
        if evidence[best] - evidence[0] < _CLEAR:
            return 0
        # What a window seems to hold has to be found in whole pictures, too.
        here, there = (
            sum(self._in_whole(pictures[i - start].turned(turn)) for i in asked)
            for turn in (0, best)
        )
        return best if there > here else 0

    def _in_turns(self, picture: Picture, boxes: Sequence[Box]) -> np.ndarray:
        """Evidence `[4]` of faces by how often they are turned by a quarter."""
        images = [picture.crop(window_around(box), WINDOW_SIZE) for box in boxes]
        turned = [
            np.ascontiguousarray(np.rot90(image, -quarters))
            for quarters in range(4)
            for image in images
        ]
        seen = [_evidence(found) for found in self._search.in_windows(turned)]
        return np.reshape(seen, (4, -1)).sum(axis=1)

    def _in_whole(self, picture: Picture) -> float:
        """Evidence of the surest face of a picture."""
        (boxes,) = self._search.whole([0], 0, [picture]).values()
        return _evidence([box for box in boxes if self._search.is_wanted(box)])

    def _elsewhere(
        self, frames: Sequence[int], start: int, pictures: Sequence[Picture]
    ) -> int:
        """As `_turn`, of pictures without faces."""
        self._empty += 1
        if self._empty & (self._empty - 1) and self._empty % _RARELY:
            return 0
        evidence = {1: 0.0, 2: 0.0, 3: 0.0}
        # From the last, with which the next batch goes on, to one that makes it sure.
        for i in dict.fromkeys([frames[-1], frames[(len(frames) - 1) // 2]]):
            for turn in list(evidence):
                seen = self._in_whole(pictures[i - start].turned(turn))
                evidence[turn] += seen
                if not seen:
                    del evidence[turn]
        best = max(evidence, key=evidence.__getitem__, default=0)
        return best if best and evidence[best] >= _LIKELY else 0


def _log_odds(box: Box) -> float:
    confidence = min(float(box[4]), 1 - 1e-7)
    return math.log(confidence / (1 - confidence))


def _evidence(boxes: Sequence[Box] | np.ndarray) -> float:
    return max(map(_log_odds, boxes), default=0.0)


def _spread(frames: Sequence[int]) -> list[int]:
    """Some of them, evenly."""
    at = np.linspace(0, len(frames) - 1, min(_MOST_FRAMES, len(frames)))
    return [frames[round(i)] for i in at]
