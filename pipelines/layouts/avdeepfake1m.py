"""AV-Deepfake1M: {train,val}_metadata.json and videos below {train,val}/.

In place of a list there may be a folder, `train_metadata/`, of a JSON a video.
"""

import os
from collections.abc import Iterator

from etils import epath

from pipelines.layouts import listing as listing_lib
from pipelines.layouts.listing import Listing
from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.data.manifest import Video, check_inside

_SPLITS = {"train": "train", "val": "validation"}

# What was modified, and which stream that is. Both spellings occur.
_KINDS = {
    "real": ("", ""),
    "visual_modified": ("video", spec.PICTURE),
    "audio_modified": ("audio", spec.SOUND),
    "both_modified": ("video+audio", spec.BOTH),
    "both-modified": ("video+audio", spec.BOTH),
}


def read(input_dir: epath.Path) -> Listing:
    """Reads the lists that are there; a fake's group is its original.

    The labels of its test videos are not public, so there is no test split.

    Raises:
      InputError: There is no list or one of its fields cannot be used.
    """
    found = Listing(table="train_metadata nor val_metadata")
    videos = []
    entries = {split: list(_entries(input_dir, split)) for split in _SPLITS}
    if not any(entries.values()):
        raise InputError(
            f"{input_dir}: there is no train_metadata.json nor val_metadata.json of"
            " AV-Deepfake1M, nor a folder train_metadata or val_metadata of a JSON a"
            " video"
        )
    for split in _SPLITS:
        for where, fields in entries[split]:
            file = listing_lib.required_text(fields, "file", where)
            where = f"{where}, {file}"
            check_inside(file, where)
            modified = listing_lib.word(fields, "modify_type", _KINDS, where)
            kind, forged = _KINDS[modified]
            # The files' names begin within the split's folder.
            name = file if file.split("/")[0] == split else f"{split}/{file}"
            listing_lib.check_name(input_dir, name, where)
            if not (input_dir / name).exists():
                found.missing.append(name)
            videos.append(
                Video(
                    video_id="",
                    path=name,
                    label="fake" if kind else "real",
                    split=_SPLITS[split],
                    group=listing_lib.text(fields, "original", where) or file,
                    manipulation=kind,
                    fake_periods=listing_lib.periods(fields, "fake_segments", where)
                    if kind
                    else (),
                    forged=forged,
                )
            )
    found.videos = listing_lib.with_unique_ids(videos)
    return found


def _entries(input_dir: epath.Path, split: str) -> Iterator[tuple[str, dict]]:
    """What is said of each video of a split, and where."""
    source = input_dir / f"{split}_metadata.json"
    folder = input_dir / f"{split}_metadata"
    if source.is_file():
        for number, fields in enumerate(listing_lib.read_list(source)):
            yield f"{source}, entry {number}", fields
    elif folder.is_dir():
        for path in listing_lib.walk(folder):
            if path.suffix.lower() != ".json":
                continue
            fields = listing_lib.read_json(path)
            if not isinstance(fields, dict):
                raise InputError(
                    f"{path}: expected an object with file and modify_type, got a"
                    f" {type(fields).__name__}"
                )
            yield os.fspath(path), fields
