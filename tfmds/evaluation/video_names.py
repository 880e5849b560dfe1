"""Which video is meant by a name, with and without its folders and its ending.

Tables of scores and of labels come from different programs: one has `out/real/a.mp4`
where another has `real/a.mp4`, `a.mp4` or `a`.
"""

import collections
import dataclasses
import os
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tfmds.common import text_files

# Columns that name a video, the one that is its id first.
COLUMNS = ("video_id", "video", "file", "path")
# Ending of a file: no number of a part such as .002 alone.
_ENDING = re.compile(r"(?<=[^/])\.[A-Za-z][A-Za-z0-9]{0,4}$")


@dataclasses.dataclass(frozen=True)
class Matches:
    """Which of the known videos the names of a table mean.

    Attributes:
      rows: int `[n]`, the row of each name's video, -1 where there is none.
      loosely: Names that are not spelled as the video's, with its own.
      ambiguous: Names that may mean several videos, or one that another name means too.
    """

    rows: np.ndarray
    loosely: Sequence[tuple[str, str]]
    ambiguous: Sequence[str]

    def notes_on(self, path: os.PathLike | str, labels: os.PathLike | str) -> list[str]:
        """The same, and how many rows of a file have no label in the other."""
        unknown = int((self.rows < 0).sum()) - len(self.ambiguous)
        told = f"rows of {path} that are not in {labels}: {unknown}"
        return [*([told] if unknown else []), *self.notes]

    @property
    def notes(self) -> list[str]:
        """What a reader should know of how they were found, a sentence each."""
        told = []
        if self.loosely:
            mine, theirs = self.loosely[0]
            told.append(
                f"{len(self.loosely)} videos were found by their names without folder"
                f" or ending, such as {mine!r} for {theirs!r}"
            )
        if self.ambiguous:
            told.append(
                f"{len(self.ambiguous)} names may mean several videos, or are one of"
                f" several for a video, and are left out, such as {self.ambiguous[0]!r}"
            )
        return told


def match(names: Sequence[str], known: Sequence[Sequence[str]]) -> Matches:
    """Finds the videos that names mean: where most of a name is the same, that is it.

    One of the two may lack folders or the ending; another folder is another video.

    Args:
      names: As a table has them.
      known: All names of each video, its id first.

    Returns:
      The videos; none where the most that is shared is shared by several.
    """
    # Rows by what they may be called.
    called: dict[str, set[int]] = collections.defaultdict(set)
    wholly: dict[str, set[int]] = collections.defaultdict(set)
    for row, aliases in enumerate(known):
        for alias in aliases:
            for form, is_whole in _forms(alias):
                called[form].add(row)
                if is_whole:
                    wholly[form].add(row)
    exact = {alias: row for row, some in enumerate(known) for alias in some}
    rows, ambiguous = np.full(len(names), -1), []
    for at, name in enumerate(names):
        if name in exact:
            rows[at] = exact[name]
            continue
        likely = (
            (called if is_whole else wholly).get(form)
            for form, is_whole in _forms(name)
        )
        found = next(filter(None, likely), set())
        if len(found) == 1:
            rows[at] = min(found)
        elif found:
            ambiguous.append(name)
    spelled = np.array([name in exact for name in names], bool)
    found_loosely = np.flatnonzero(~spelled & (rows >= 0)).tolist()
    times = collections.Counter(rows[rows >= 0].tolist())
    double = [at for at in found_loosely if times[rows[at]] > 1]
    ambiguous += [names[at] for at in double]
    rows[double] = -1
    loosely = [(names[at], known[rows[at]][0]) for at in found_loosely if rows[at] >= 0]
    return Matches(rows, loosely, ambiguous)


def read(path: os.PathLike | str) -> Mapping[str, Sequence[str]]:
    """All names that a table has for each of its videos, its id first, by that.

    Raises:
      InputError: It cannot be read.
    """
    table = text_files.read_table(
        path, "a table of videos", "It has a column video_id."
    )
    columns = [name for name in COLUMNS if name in table.columns]
    found = {}
    for _, row in table.dicts():
        some = [row[name] for name in columns if row[name]]
        found.update({some[0]: some} if some else {})
    return found


def _forms(name: str) -> Iterator[tuple[str, bool]]:
    """What a name may be called, from all of it to its stem; and whether it is all."""
    parts = [p for p in name.replace("\\", "/").split("/") if p not in ("", ".")]
    # Files that share a name are called by their path: folder__name.
    joined = parts[-1].split("__") if parts else []
    for some in (parts, joined if len(joined) > 1 else []):
        for first in range(len(some)):
            whole = "/".join(some[first:])
            yield whole, first == 0
            if (stem := _ENDING.sub("", whole)) != whole:
                yield stem, first == 0
