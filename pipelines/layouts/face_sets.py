"""Pictures of faces that somebody else cut: a table, folders, or a public set by name.

faces                 faces.csv with the columns file, label, group and, where
                      they are known, split, manipulation; else real/ and fake/
faces_dfdc            metadata.csv and faces_224/: a face of each video of DFDC, and
                      dfdc-parts.csv, which names the part of a video
faces_celebdf         real/ and df/ with files such as id0_id16_0001_frame_10_face_0
faces_faceforensics   image/{train,test}/{youtube,Deepfakes,Face2Face,...}
"""

import re
from collections.abc import Iterator

from etils import epath

from pipelines.layouts import listing as listing_lib
from pipelines.layouts.listing import Listing
from tfmds import spec
from tfmds.common import text_files
from tfmds.common.errors import InputError
from tfmds.data.manifest import Video
from tfmds.preprocessing import stills

TABLE = "faces.csv"
_NEEDED = ("file", "label", "group")
_COLUMNS = (*_NEEDED, "split", "manipulation")
DFDC_PARTS = "dfdc-parts.csv"
# By which models that learned from DFDC are judged here.
DFDC_JUDGED = frozenset({0, 1, 2, 3, 4, 10, 28, 49})
_METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")


def read(input_dir: epath.Path) -> Listing:
    """Reads `faces.csv`, or the folders `real` and `fake`.

    In folders a folder below them is the group (the person), else each picture is its
    own.

    Raises:
      InputError: There is neither, or the table has an unknown column or label.
    """
    if (input_dir / TABLE).exists():
        return _made(input_dir, _of_table(input_dir / TABLE), "the table names")
    return _made(input_dir, _of_folders(input_dir), "real/ and fake/ hold")


def _of_table(path: epath.Path) -> Iterator[Video]:
    table = text_files.read_table(path, "a table of faces", "")
    table.need(_NEEDED)
    if unknown := sorted(set(table.columns) - set(_COLUMNS)):
        raise InputError(
            f"{path}: unknown columns {', '.join(unknown)}, expected"
            f" {', '.join(_COLUMNS)}"
        )
    for line, row in table.dicts():
        where = f"{path}, line {line}"
        label = listing_lib.word(row, "label", spec.LABELS, where)
        split = row.get("split", "")
        if split:
            listing_lib.word(row, "split", spec.SPLITS, where)
        name = listing_lib.required_text(row, "file", where)
        group = listing_lib.required_text(row, "group", where)
        kind = row.get("manipulation", "") if label == "fake" else ""
        yield _still(name, label, group, split, kind)


def _of_folders(input_dir: epath.Path) -> Iterator[Video]:
    for label in spec.LABELS:
        folder = input_dir / label
        for path in listing_lib.walk(folder) if folder.is_dir() else ():
            person, _, rest = listing_lib.relative(path, folder).partition("/")
            name = listing_lib.relative(path, input_dir)
            yield _still(name, label, person if rest else path.stem)


def read_dfdc(input_dir: epath.Path) -> Listing:
    """Reads one face of each video of DFDC; the group is the part.

    A fake and its original lie in one part, and so do most videos of a person. Parts
    `DFDC_JUDGED` are the test split; videos whose part is not known are left out.

    Raises:
      InputError: A table is missing.
    """
    hint = "It names the part (0 to 49) of each video: columns name, part."
    table = text_files.read_table(input_dir / DFDC_PARTS, "the parts of DFDC", hint)
    table.need(("name", "part"))
    parts = {row["name"].split(".")[0]: int(row["part"]) for _, row in table.dicts()}
    table = text_files.read_table(
        input_dir / "metadata.csv", "the table of DFDC's faces", ""
    )
    table.need(("videoname", "label", "original"))
    found = Listing()

    def videos() -> Iterator[Video]:
        for line, row in table.dicts():
            stem = row["videoname"].split(".")[0]
            label = row["label"].lower()
            where = f"{table.path}, line {line}"
            listing_lib.word({"label": label}, "label", spec.LABELS, where)
            name = f"faces_224/{stem}.jpg"
            if stem not in parts:
                found.left_out.append((name, f"its part is not in {DFDC_PARTS}"))
                continue
            part = parts[stem]
            split = "test" if part in DFDC_JUDGED else ""
            yield _still(name, label, f"part_{part:02d}", split, "dfdc")

    return _made(input_dir, videos(), "metadata.csv names", found)


def read_celebdf(input_dir: epath.Path) -> Listing:
    """Reads faces of Celeb-DF; a fake's group is the person whose video it was."""

    def videos() -> Iterator[Video]:
        for folder, label in (("real", "real"), ("df", "fake")):
            for path in listing_lib.walk(input_dir / folder):
                person = re.split(r"_", path.stem, maxsplit=1)[0]
                name = listing_lib.relative(path, input_dir)
                yield _still(name, label, person, "test", "celebdf")

    return _made(input_dir, videos(), "real/ and df/ hold")


def read_faceforensics(input_dir: epath.Path) -> Listing:
    """Reads faces of FaceForensics++, fakes by their method.

    Names tell no video: each picture is a group of its own.
    """

    def videos() -> Iterator[Video]:
        for split in ("train", "test"):
            for kind in ("youtube", *_METHODS):
                label = "real" if kind == "youtube" else "fake"
                for path in listing_lib.walk(input_dir / "image" / split / kind):
                    name = listing_lib.relative(path, input_dir)
                    group = f"{split}_{kind}_{path.stem}"
                    yield _still(name, label, group, "test", kind)

    return _made(input_dir, videos(), "image/ holds")


def _still(name: str, label: str, group: str, split: str = "", kind: str = "") -> Video:
    fake = label == "fake"
    return Video(
        video_id="",
        path=name,
        label=label,
        split=split,
        group=group,
        manipulation=kind if fake else "",
        forged=spec.PICTURE if fake else "",
    )


def _made(
    input_dir: epath.Path,
    videos: Iterator[Video],
    told: str,
    found: Listing | None = None,
) -> Listing:
    found = found or Listing()
    taken = []
    for video in videos:
        if not stills.is_still(video.path):
            found.left_out.append((video.path, "not a picture"))
            continue
        listing_lib.check_name(input_dir, video.path, video.path)
        if not (input_dir / video.path).exists():
            found.missing.append(video.path)
        taken.append(video)
    if not taken:
        raise InputError(f"{input_dir}: {told} no pictures of faces")
    found.videos = listing_lib.with_unique_ids(taken)
    return found
