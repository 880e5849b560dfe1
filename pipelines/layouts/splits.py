"""Divides a data set by groups, so that nobody is in two splits."""

import collections
import dataclasses
import random
from collections.abc import Iterable, Sequence

from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.data.manifest import Video

Fractions = tuple[float, float, float]


def parse_fractions(texts: Sequence[str]) -> Fractions:
    """Reads the shares of train, validation and test.

    Raises:
      InputError: They are not three numbers that add up to 1.
    """
    try:
        numbers = [float(t) for t in texts]
    except ValueError:
        numbers = []
    if (
        len(numbers) != len(spec.SPLITS)
        or not all(0 <= n <= 1 for n in numbers)
        or abs(sum(numbers) - 1) > 1e-6
    ):
        raise InputError(
            f"split_fractions is {','.join(texts)!r}, expected three shares of"
            f" {', '.join(spec.SPLITS)} that add up to 1, such as 0.6,0.15,0.25"
        )
    train, validation, test = numbers
    return train, validation, test


def assign(videos: Iterable[Video], fractions: Fractions, seed: int) -> list[Video]:
    """Gives each video a split; a group is never divided.

    A split that the data set states is kept. Where it states train and test but no
    validation, validation is taken from train. Groups are dealt so that each class
    comes as close to `fractions` in each split as it can.
    """
    videos = list(videos)
    shares = dict(zip(spec.SPLITS, fractions, strict=True))
    stated = {v.split for v in videos} - {""}
    unsplit = [v for v in videos if not v.split]
    chosen = _deal(unsplit, shares, seed)
    if "train" in stated and "validation" not in stated:
        learning = {s: shares[s] for s in ("train", "validation")}
        if total := sum(learning.values()):
            train = [v for v in videos if v.split == "train"]
            dealt = _deal(train, {s: x / total for s, x in learning.items()}, seed)
            videos = [
                dataclasses.replace(v, split=dealt[v.group])
                if v.split == "train"
                else v
                for v in videos
            ]
    return [
        v if v.split else dataclasses.replace(v, split=chosen[v.group]) for v in videos
    ]


def divided_groups(videos: Iterable[Video]) -> list[str]:
    """Groups that are in more than one split, as a data set's own split may have it."""
    splits = collections.defaultdict(set)
    for video in videos:
        splits[video.group].add(video.split)
    return sorted(group for group, found in splits.items() if len(found) > 1)


def _deal(videos: list[Video], shares: dict[str, float], seed: int) -> dict[str, str]:
    """The split of each group."""
    counts: dict[str, collections.Counter] = collections.defaultdict(
        collections.Counter
    )
    for video in videos:
        counts[video.group][video.label] += 1
    totals = sum(counts.values(), collections.Counter())
    groups = sorted(counts)
    random.Random(seed).shuffle(groups)
    # Large groups first: the small ones even out what they leave.
    groups.sort(key=lambda group: -counts[group].total())
    wanted = {split: share for split, share in shares.items() if share > 0}
    got: dict[str, collections.Counter] = {s: collections.Counter() for s in wanted}
    members: dict[str, list[str]] = {split: [] for split in wanted}
    for group in groups:

        def cost(split: str, added: collections.Counter = counts[group]) -> float:
            # How much further from its share the split would be, with the group.
            share = wanted[split]
            return sum(
                ((got[split][label] + n) / totals[label] - share) ** 2 / share
                - (got[split][label] / totals[label] - share) ** 2 / share
                for label, n in added.items()
            )

        best = min(wanted, key=cost)
        got[best].update(counts[group])
        members[best].append(group)
    # With few groups a small share may have got none.
    for split in wanted:
        richest = max(wanted, key=lambda s: len(members[s]))
        if not members[split] and len(members[richest]) > 1:
            members[split].append(members[richest].pop())
    return {group: split for split, names in members.items() for group in names}
