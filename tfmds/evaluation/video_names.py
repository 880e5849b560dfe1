"""Whether two names are of one video, with or without folder and ending."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

# As of a video, of its sound, or of what another detector keeps of it.
_ENDING = re.compile(r"\.(?=\w*[a-z])\w{2,4}$", re.IGNORECASE)
# Manifests tell videos of one name by their folders so: a__b__clip.
_SEPARATOR = re.compile(r"[/\\]+|__")


def match(names: Sequence[str], known: Sequence[str]) -> tuple[list[int], int]:
    """Finds names among those that are known.

    A name that is not there as it is written may lack its ending or some of its first
    folders, or have them where the known one lacks them. Where it, or the known one,
    would be one of several then, it stays unknown.

    Args:
      names: As one table has them, each once.
      known: As the other has them, each once.

    Returns:
      For each name the place among the known ones, -1 where it is not among them; and
      how many were not found as they are written.
    """
    places = {name: place for place, name in enumerate(known)}
    found = [places.get(name, -1) for name in names]
    free = set(range(len(known))).difference(found)
    rest = [row for row, place in enumerate(found) if place < 0]
    # Whole paths, and what they end with, lead to known ones.
    whole, ends = defaultdict(set), defaultdict(set)
    for place in free if rest else ():
        parts = _parts(known[place])
        whole[parts].add(place)
        for end in _ends(parts):
            ends[end].add(place)
    wanted = {}
    for row in rest:
        parts = _parts(names[row])
        fitting = whole[parts] or ends[parts].union(*(whole[e] for e in _ends(parts)))
        if len(fitting) == 1:
            wanted[row] = next(iter(fitting))
    counts = Counter(wanted.values())
    wanted = {row: place for row, place in wanted.items() if counts[place] == 1}
    for row, place in wanted.items():
        found[row] = place
    return found, len(wanted)


def _parts(name: str) -> tuple[str, ...]:
    return tuple(filter(None, _SEPARATOR.split(_ENDING.sub("", name))))


def _ends(parts: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [parts[first:] for first in range(1, len(parts))]
