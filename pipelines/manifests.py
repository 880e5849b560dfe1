"""The manifest of a data set, from how its folder is laid out."""

import collections
import dataclasses
import os
from collections.abc import Sequence

from pipelines import layouts
from pipelines.layouts import lists, splits
from pipelines.layouts.listing import NO_LABEL, Listing
from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.data.manifest import Video

# Of the videos that a data set lists, this part has to be there.
_LEAST_ON_DISK = 0.05
# So many examples of what is missing or left out are named.
_NAMED = 5


def build(
    layout: str,
    input_dir: os.PathLike | str,
    output: os.PathLike | str,
    fractions: splits.Fractions = (0.6, 0.15, 0.25),
    seed: int = 0,
    train_list: os.PathLike | str | None = None,
    test_list: os.PathLike | str | None = None,
    audio_altered: os.PathLike | str | None = None,
) -> tuple[list[Video], Listing]:
    """Lists a data set and splits it.

    Args:
      layout: How the folder is laid out.
      input_dir: The data set.
      output: Where the manifest is to be.
      fractions: Shares of train, validation and test.
      seed: Chooses which group goes where.
      train_list: DFDC's fakes for training; without lists all videos are taken.
      test_list: The same for the test.
      audio_altered: DFDC's fakes whose sound was altered, and those where it was not.

    Returns:
      The rows of the manifest, and what the layout found.

    Raises:
      InputError: The data set cannot be read, or the manifest would not lie above
        its videos.
    """
    if (train_list or test_list or audio_altered) and layout != "dfdc":
        raise InputError(
            "--train_list, --test_list and --audio_altered are DFDC's, and the layout"
            f" is {layout}: leave them out"
        )
    prefix = _path_from(output, input_dir)
    found = layouts.read(layout, input_dir)
    if audio_altered:
        found = lists.with_forged(found, lists.read_audio_altered(audio_altered))
    if train_list or test_list:
        found = lists.apply(
            found,
            lists.read(train_list) if train_list else [],
            lists.read(test_list) if test_list else [],
        )
    _check_on_disk(found, input_dir)
    videos = [
        dataclasses.replace(v, path=os.path.normpath(os.path.join(prefix, v.path)))
        for v in splits.assign(found.videos, fractions, seed)
    ]
    return videos, found


def _check_on_disk(found: Listing, input_dir: os.PathLike | str) -> None:
    """Refuses a list that is of another folder: hardly any of its videos is here."""
    here = len(found.videos) - len(found.missing)
    if not found.missing or here >= _LEAST_ON_DISK * len(found.videos):
        return
    others = [path for path, reason in found.left_out if reason.endswith(NO_LABEL)]
    example = f" On disk is, for one, {others[0]}." if others else ""
    raise InputError(
        f"{input_dir}: {here} of the {len(found.videos)} videos that the data set lists"
        f" are on disk; expected {found.missing[0]}, and so on, below it.{example} Is"
        " --input_dir the folder that these paths begin in, and is everything unpacked?"
        " Of a part of the data set take out of its table what is not there"
    )


def _path_from(output: os.PathLike | str, input_dir: os.PathLike | str) -> str:
    """Path of `input_dir` as seen from the manifest's folder."""
    folder = os.path.abspath(os.path.dirname(os.fspath(output)) or ".")
    root = os.path.abspath(input_dir)
    if os.path.commonpath([folder, root]) != folder:
        raise InputError(
            f"--output={os.fspath(output)} does not lie above the videos: the paths in"
            " a manifest are relative to its folder and never leave it. Put it into"
            f" {root} or a folder above it, such as"
            f" --output={os.path.join(root, 'manifest.csv')}"
        )
    return os.path.relpath(root, folder)


def table(videos: Sequence[Video]) -> str:
    """How many videos of each class, and groups, each split has, for the terminal."""
    counts = collections.Counter((v.split, v.label) for v in videos)
    groups = {s: {v.group for v in videos if v.split == s} for s in spec.SPLITS}
    lines = [f"{'split':<12}{'real':>8}{'fake':>8}{'groups':>8}"]
    for split in spec.SPLITS:
        numbers = [*(counts[split, label] for label in spec.LABELS), len(groups[split])]
        lines.append(f"{split:<12}" + "".join(f"{n:>8}" for n in numbers))
    return "\n".join(lines)


def listing(videos: Sequence[Video], found: Listing) -> str:
    """A line for each video that is taken, and for each that is left out."""
    missing = set(found.missing)
    lines = [
        f"{after.split:<12}{after.label:<6}{after.group}  {before.path}"
        + ("  (not on disk)" if before.path in missing else "")
        for before, after in zip(found.videos, videos, strict=True)
    ]
    lines += [f"{'left out':<12}{path}: {reason}" for path, reason in found.left_out]
    return "\n".join(lines)


def warnings(videos: Sequence[Video], found: Listing) -> list[str]:
    """What a user should know before training on this manifest."""
    lines = list(found.notes)
    labels = {(v.split, v.label) for v in videos}
    if videos and not any(v.label == "fake" for v in videos):
        lines.append(
            "there are no fake videos: robust.flags learns from real ones alone, and"
            " with --mismatches these stand in for fakes in select_threshold and"
            " evaluate"
        )
        labels |= {(split, "fake") for split in spec.SPLITS}
    for split in spec.SPLITS:
        lacking = [label for label in spec.LABELS if (split, label) not in labels]
        if lacking:
            lines.append(f"{split} has no {' and no '.join(lacking)} video")
    if divided := splits.divided_groups(videos):
        lines.append(
            f"{len(divided)} groups are in more than one split, as the data set states"
            f" it: {_some(divided)}. Results on them tell little about others"
        )
    if found.missing:
        lines.append(
            f"{len(found.missing)} listed files are not on disk, kept as rows:"
            f" {_some(found.missing)}"
        )
    reasons = collections.defaultdict(list)
    for path, reason in found.left_out:
        reasons[reason].append(path)
    for reason, paths in reasons.items():
        lines.append(f"{len(paths)} left out, {reason}: {_some(paths)}")
    return lines


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
