"""What is in a data set, and what but the forgeries tells its classes apart."""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from tfmds import spec
from tfmds.data import stored_faces
from tfmds.data.data_set import VideoRow
from tfmds.reporting import tables, video_page

# Above it a detector learns the quantity instead of the forgery.
MAX_AUC = 0.7

# What a row says of its file: a number, or a word of a few; None where it is unknown.
_NUMBERS: dict[str, Callable[[VideoRow], float | None]] = {
    "duration (s)": lambda row: row.seconds or None,
    "file size (kB)": lambda row: row.media.bytes / 1000 or None,
    "data rate (kbit/s)": lambda row: (
        row.media.bytes * 0.008 / row.seconds or None if row.seconds else None
    ),
    "picture width": lambda row: row.media.width or None,
    "picture height": lambda row: row.media.height or None,
    "frame rate": lambda row: row.media.frame_rate or None,
    "sample rate": lambda row: row.media.sample_rate or None,
    "sound channels": lambda row: row.media.channels or None,
    "leading silence (ms)": lambda row: (
        None if row.media.leading_silence is None else 1000 * row.media.leading_silence
    ),
    "faces followed": lambda row: row.tracks if row.status == spec.OK else None,
}
_WORDS: dict[str, Callable[[VideoRow], str | None]] = {
    "status": lambda row: row.status,
    "ending of the name": lambda row: pathlib.PurePath(row.video.path).suffix.lower(),
    "video codec": lambda row: row.media.video_codec or None,
    "audio codec": lambda row: row.media.audio_codec or None,
}


@dataclasses.dataclass(frozen=True)
class Quantity:
    """How something that is no forgery is spread over the classes.

    Attributes:
      name: What it is.
      real: Its values in real videos, for a reader.
      fake: The same in fakes.
      auc: How well it alone tells them apart, from 0.5 to 1; None where one class
        has no values.
      leans: Which values mean fake, for a reader.
    """

    name: str
    real: str
    fake: str
    auc: float | None
    leans: str

    @property
    def separates(self) -> bool:
        """Whether a detector would learn it instead of the forgery."""
        return self.auc is not None and self.auc > MAX_AUC


def counts(rows: Sequence[VideoRow]) -> list[list[str]]:
    """Videos by split, class, manipulation and status; the first line are titles."""
    parts: dict[tuple[str, ...], list[VideoRow]] = collections.defaultdict(list)
    for row in rows:
        video = row.video
        parts[video.split, video.label, video.manipulation].append(row)
    order = {word: n for n, word in enumerate((*spec.SPLITS, *spec.LABELS))}
    lines = [
        ["split", "class", "manipulation", "videos", *spec.STATUSES, "chunks", "hours"]
    ]
    for part in sorted(parts, key=lambda p: (order[p[0]], order[p[1]], p[2])):
        of_part = parts[part]
        statuses = collections.Counter(row.status for row in of_part)
        lines.append(
            [
                *part,
                str(len(of_part)),
                *(str(statuses[status]) for status in spec.STATUSES),
                str(sum(row.chunks for row in of_part)),
                f"{sum(row.seconds for row in of_part) / 3600:.2f}",
            ]
        )
    return lines


def quantities(rows: Sequence[VideoRow]) -> list[Quantity]:
    """How sizes, rates and the like are spread over the classes."""
    return [
        *(_number(name, *_known(rows, get)) for name, get in _NUMBERS.items()),
        *(_word(name, *_known(rows, get)) for name, get in _WORDS.items()),
    ]


def warnings(found: Sequence[Quantity]) -> list[str]:
    """A sentence on each quantity that alone tells real from fake."""
    return [
        f"{q.name} alone tells real from fake, AUC {q.auc:.2f} (fake: {q.leans}); a"
        " detector will learn that instead"
        for q in found
        if q.separates
    ]


def text(rows: Sequence[VideoRow]) -> str:
    """The counts and quantities as tables for the terminal."""
    lines = [["", "real", "fake", "AUC"]]
    lines += [[q.name, q.real, q.fake, _say_auc(q.auc)] for q in quantities(rows)]
    return "\n".join([*tables.align(counts(rows)), "", *tables.align(lines)])


def page(
    rows: Sequence[VideoRow],
    faces: Mapping[str, Sequence[stored_faces.Face]],
    provenance: Mapping[str, str],
) -> str:
    """The same as an HTML page, with a sheet of faces to look at.

    Args:
      rows: The videos.
      faces: Some faces of each class, by its name.
      provenance: How the data set was made, as rows of a table.
    """
    found = quantities(rows)
    return video_page.render(
        "audit.html",
        name=provenance.get("data set", ""),
        counts=counts(rows),
        quantities=[(q, _say_auc(q.auc)) for q in found],
        warnings=warnings(found),
        faces=faces,
        provenance=provenance,
    )


def _known(
    rows: Sequence[VideoRow], get: Callable[[VideoRow], Any]
) -> tuple[list[Any], np.ndarray]:
    """Values of the rows that have one, and which of them are fakes."""
    known = [(value, row) for row in rows if (value := get(row)) is not None]
    fake = [row.video.label == "fake" for _, row in known]
    return [value for value, _ in known], np.array(fake, bool)


def _number(name: str, known: list[float], fake: np.ndarray) -> Quantity:
    values = np.array(known, float)
    auc = _auc(values, fake)
    more = auc is None or auc >= 0.5
    return Quantity(
        name,
        _say_numbers(values[~fake]),
        _say_numbers(values[fake]),
        None if auc is None else max(auc, 1 - auc),
        "more" if more else "less",
    )


def _word(name: str, known: list[str], fake: np.ndarray) -> Quantity:
    values = np.array(known, object)
    # The best order of the words is that of their shares of fakes.
    shares = {w: float(fake[values == w].mean()) for w in dict.fromkeys(known)}
    auc = _auc(np.array([shares[word] for word in known]), fake)
    return Quantity(
        name,
        _say_words(values[~fake]),
        _say_words(values[fake]),
        auc,
        f"mostly {max(shares, key=shares.__getitem__)}" if shares else "",
    )


def _auc(values: np.ndarray, fake: np.ndarray) -> float | None:
    if fake.all() or not fake.any():
        return None
    return float(roc_auc_score(fake, values))


def _say_auc(auc: float | None) -> str:
    return "-" if auc is None else f"{auc:.2f}"


def _say_numbers(values: np.ndarray) -> str:
    if not len(values):
        return "-"
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return f"{middle:.5g} ({low:.5g} to {high:.5g})"


def _say_words(values: np.ndarray) -> str:
    common = collections.Counter(values).most_common(4)
    return ", ".join(f"{word or 'none'} {n / len(values):.0%}" for word, n in common)


def sample_faces(
    data_dir: os.PathLike | str, most: int
) -> dict[str, list[stored_faces.Face]]:
    """An even sample of faces of each class and manipulation, at most `most` each."""
    sheets: dict[str, list[stored_faces.Face]] = collections.defaultdict(list)
    for face in stored_faces.sample(data_dir):
        words = (face.label, *filter(None, [face.manipulation]))
        sheets[": ".join(words)].append(face)
    return {
        name: [
            faces[i]
            for i in np.unique(np.linspace(0, len(faces) - 1, most).astype(int))
        ]
        for name, faces in sorted(sheets.items(), reverse=True)
    }
