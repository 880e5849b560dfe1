"""Folders of real clips with an INDEX.csv, by which benchmarks judge."""

import csv
import dataclasses
import os
import pathlib
import shutil
from collections.abc import Mapping

from tfmds.common.errors import InputError
from tfmds.data.manifest import Video


@dataclasses.dataclass(frozen=True)
class Clip:
    """A row of INDEX.csv.

    Attributes:
      row: Columns file, label, group, voice_matches_picture, and use where it has one.
      files: All files of the folder by name; they may lie in any folder below.
    """

    row: Mapping[str, str]
    files: Mapping[str, pathlib.Path] = dataclasses.field(repr=False)

    @property
    def path(self) -> pathlib.Path:
        """Where its file is.

        Raises:
          InputError: It is not there.
        """
        if self.name not in self.files:
            raise InputError(f"{self.name} of INDEX.csv is not there; download it too")
        return self.files[self.name]

    @property
    def name(self) -> str:
        """The file's name."""
        return self.row["file"]

    @property
    def group(self) -> str:
        """Whose clip it is."""
        return self.row["group"]

    @property
    def has_own_voice(self) -> bool:
        """Whether it is real and the voice is known to be the mouth's."""
        own = self.row["voice_matches_picture"] == "yes"
        return own and self.row["label"] == "real"

    def copied_to(self, root: pathlib.Path, split: str) -> Video:
        """Copies a real clip beside a manifest in `root`; returns its row there."""
        path = f"clips/{self.name}"
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy(self.path, target)
        return Video(self.name, path, "real", split, self.group)


def read(folder: os.PathLike | str) -> list[Clip]:
    """The clips of a folder in the order of its INDEX.csv."""
    root = pathlib.Path(folder).resolve()
    files = {path.name: path for path in root.rglob("*") if path.is_file()}
    with open(root / "INDEX.csv", newline="") as f:
        return [Clip(row, files) for row in csv.DictReader(f)]
