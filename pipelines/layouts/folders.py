"""Plain folders: {train,test}/{real,fake}/*.mp4, or real/ and fake/ alone."""

import collections
import contextlib
import dataclasses
import os
from collections.abc import Sequence

from etils import epath

from pipelines.layouts import groups
from pipelines.layouts import listing as listing_lib
from pipelines.layouts.listing import Listing
from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.data.manifest import Video

# What else people call the validation split.
_SPLITS = {**{s: s for s in spec.SPLITS}, "val": "validation", "valid": "validation"}


def read(input_dir: epath.Path) -> Listing:
    """Reads `{train,validation,test}/{real,fake}/...` or `{real,fake}/...`.

    A folder below real/ or fake/ names the group (the person); videos right in them
    are groups of their own, real/x.mp4 and fake/x.mp4 one together. Where DFDC's
    metadata.json lies here, in a folder below or beside, as where its videos were
    sorted into such folders, a video is in one group with its original.

    Raises:
      InputError: There is no folder real/ or fake/, or no video in them, or a
        metadata.json that cannot be read.
    """
    found = Listing()
    videos = []
    roots = {"": input_dir}
    for folder in sorted(p for p in input_dir.iterdir() if p.is_dir()):
        if folder.name.lower() in _SPLITS:
            roots[folder.name] = folder
    for name, root in roots.items():
        for folder in sorted(p for p in root.iterdir() if p.is_dir()):
            label = folder.name.lower()
            if label not in spec.LABELS:
                continue
            for path in listing_lib.walk(folder):
                relative = listing_lib.relative(path, input_dir)
                if not listing_lib.is_video(path):
                    found.left_out.append((relative, "not a video"))
                    continue
                listing_lib.check_name(input_dir, relative, relative)
                below = listing_lib.relative(path, folder)
                person, _, rest = below.partition("/")
                videos.append(
                    Video(
                        video_id="",
                        path=relative,
                        label=label,
                        split=_SPLITS.get(name.lower(), ""),
                        group=person if rest else path.stem,
                    )
                )
    if not videos:
        raise InputError(
            f"{input_dir}: no videos found; expected train/real, train/fake, test/real"
            " and test/fake with videos in them, or real/ and fake/"
        )
    originals = _originals(input_dir, {epath.Path(v.path).name for v in videos})
    if originals:
        videos = _joined(videos, originals)
        found.notes.append(_told(videos, len(originals)))
    elif any(v.label == "fake" for v in videos) and all(
        v.group == epath.Path(v.path).stem for v in videos
    ):
        found.notes.append(
            f"no {_METADATA} tells the originals of the fakes here: groups are not"
            " known, so intervals and splits are by video, and a fake may be in"
            " another split than its original. Put the videos of a person into one"
            " folder of real/ and of fake/ (real/anna/1.mp4, fake/anna/1.mp4), or fill"
            " the column group of the manifest (docs/data_sets.md)"
        )
    found.videos = listing_lib.with_unique_ids(videos)
    return found


_METADATA = "metadata.json"


def _originals(input_dir: epath.Path, names: set[str]) -> dict[str, str]:
    """The original of each video that DFDC's tables name, its own name for a real."""
    here = [input_dir, *_folders(input_dir)]
    here += [below for folder in here[1:] for below in _folders(folder)]
    parent = epath.Path(os.path.abspath(input_dir)).parent
    originals: dict[str, str] = {}
    for folder in (*here, parent):
        if (folder / _METADATA).exists():
            originals |= _originals_of(folder / _METADATA, names)
    if originals:
        return originals
    # The videos may have been moved here from a folder beside, where the table stayed.
    for folder in _folders(parent):
        with contextlib.suppress(InputError):
            originals |= _originals_of(folder / _METADATA, names)
    # What lies beside may also be of something else, with a name or two in common.
    return originals if originals.keys() == names else {}


def _originals_of(table: epath.Path, names: set[str]) -> dict[str, str]:
    entries = listing_lib.read_json(table)
    # Other sets have lists of this name.
    if not isinstance(entries, dict):
        return {}
    return {
        name: listing_lib.text(entries[name], "original", f"{table}, {name}") or name
        for name in names & entries.keys()
        if isinstance(entries[name], dict)
    }


def _folders(folder: epath.Path) -> list[epath.Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")
    except OSError:
        return []


def _joined(videos: Sequence[Video], originals: dict[str, str]) -> list[Video]:
    joined = groups.Groups()
    nodes = []
    for video in videos:
        path = epath.Path(video.path)
        own = video.group == path.stem
        node = (groups.VIDEO, path.stem) if own else (groups.IDENTITY, video.group)
        original = epath.Path(originals.get(path.name, path.name))
        joined.join(node, (groups.VIDEO, original.stem))
        nodes.append(node)
    names = joined.names()
    return [
        dataclasses.replace(video, group=names[node])
        for video, node in zip(videos, nodes, strict=True)
    ]


def _told(videos: Sequence[Video], known: int) -> str:
    splits = collections.defaultdict(set)
    for video in videos:
        splits[video.group].add(video.split)
    divided = sum(len(found) > 1 for found in splits.values())
    told = (
        f"groups are the originals that {_METADATA} tells of {known} of {len(videos)}"
        f" videos; {divided} of {len(splits)} originals stand on both sides of the"
        " split"
    )
    if divided:
        told += (
            ", so a model is tested on videos whose original or fakes it has learned."
            " To split anew by group, put the videos into real/ and fake/ without the"
            " folders of the splits"
        )
    return told
