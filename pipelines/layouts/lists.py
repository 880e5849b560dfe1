"""The authors' lists of DFDC: which fakes are for training and which for the test."""

import dataclasses
import os
import re
from collections.abc import Mapping

from pipelines.layouts.listing import Listing
from tfmds import spec
from tfmds.common import text_files
from tfmds.common.errors import InputError

# A fake and its part: aaabbbcccd.dfdc_train_part_03, the number with or without zeros.
_YES_OR_NO = {
    "true": True,
    "1": True,
    "1.0": True,
    "yes": True,
    "false": False,
    "0": False,
    "0.0": False,
    "no": False,
}
_LINE = re.compile(r"(?P<name>[\w-]+)(\.mp4)?(\.dfdc_train_part_\d+)?")


# A chunk in the public code's train_split.csv and test_split.csv.
_CHUNK = re.compile(r"(.*[/\\])?(?P<name>[\w-]+)[/\\]\d+,.*\.wav,(real|fake)")


def read(path: os.PathLike | str) -> list[str]:
    """The names of a list, without part and ending.

    A train_split.csv or test_split.csv of the public code is a list as well: it names
    the videos whose chunks it has.

    Raises:
      InputError: It is missing or holds something else; names the line.
    """
    text = text_files.read_text(
        path,
        "a list of fakes",
        "Each line is a fake and its part such as aaabbbcccd.dfdc_train_part_03.",
    )
    names = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip()) or _CHUNK.fullmatch(line.strip())
        if match is None:
            raise InputError(
                f"{path}, line {number}: {line.strip()!r}, expected a fake and its part"
                " such as aaabbbcccd.dfdc_train_part_03"
            )
        names.append(match["name"])
    return list(dict.fromkeys(names))


def read_audio_altered(path: os.PathLike | str) -> dict[str, bool]:
    """Whether the sound of fakes was altered, by name without ending.

    The table is one that people derived by comparing each fake's sound with its
    original's: `train_mp4, label, original, split, audio_altered`.

    Raises:
      InputError: It is missing or cannot be read; names the line.
    """
    table = text_files.read_table(
        path,
        "a table of fakes with altered sound",
        "It has the columns train_mp4,label,original,split,audio_altered.",
    )
    table.need(("train_mp4", "audio_altered"))
    altered = {}
    for line, row in table.dicts():
        word = row["audio_altered"].strip().lower()
        if word not in _YES_OR_NO:
            raise InputError(
                f"{path}, line {line}: audio_altered is {row['audio_altered']!r},"
                " expected True or False"
            )
        altered[row["train_mp4"].strip().removesuffix(".mp4")] = _YES_OR_NO[word]
    return altered


def with_forged(found: Listing, altered: Mapping[str, bool]) -> Listing:
    """Says of listed fakes which stream is forged; the others stay unknown.

    DFDC's fakes are swapped faces, of which some have another voice as well; that the
    face of one with an altered voice was left alone cannot be told from the list.
    """
    videos = [
        dataclasses.replace(
            video, forged=spec.BOTH if altered[video.video_id] else spec.PICTURE
        )
        if video.label == "fake" and video.video_id in altered
        else video
        for video in found.videos
    ]
    return dataclasses.replace(found, videos=videos)


def apply(found: Listing, train: list[str], test: list[str]) -> Listing:
    """Takes the listed fakes and their originals, and leaves the rest out.

    Nothing is on both sides: where the lists divide the fakes of one original, those
    for the test are taken.
    """
    group_of = {v.video_id: v.group for v in found.videos}
    listed = {"test": set(test), "train": set(train) - set(test)}
    groups = {s: {group_of.get(n, "") for n in names} for s, names in listed.items()}
    left_out = list(found.left_out)
    for split, names in listed.items():
        left_out += [
            (name, f"in --{split}_list but in no metadata.json")
            for name in sorted(names - set(group_of))
        ]
    videos = []
    for video in found.videos:
        split = "test" if video.group in groups["test"] else "train"
        if video.group not in groups[split]:
            left_out.append((video.path, "neither it nor a fake of it is in a list"))
        elif video.label == "real" or video.video_id in listed[split]:
            videos.append(dataclasses.replace(video, split=split))
        elif video.video_id in listed["train"]:
            left_out.append((video.path, "its original is that of a fake for the test"))
        else:
            left_out.append((video.path, "a fake that is in neither list"))
    if not videos:
        raise InputError(
            "none of the listed fakes is in this folder; expected lists of its parts,"
            " a line such as aaabbbcccd.dfdc_train_part_03 for each fake"
        )
    taken = {video.path for video in videos}
    missing = [path for path in found.missing if path in taken]
    return dataclasses.replace(found, videos=videos, missing=missing, left_out=left_out)
