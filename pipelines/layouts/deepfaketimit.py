"""DeepfakeTIMIT: {higher,lower}_quality/<subject>/<clip>-video-<target>.avi."""

from etils import epath

from pipelines.layouts import listing as listing_lib
from pipelines.layouts.listing import Listing
from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.data.manifest import Video

_QUALITIES = {"higher_quality": "face_swap_hq", "lower_quality": "face_swap_lq"}
_REALS = "real"


def read(input_dir: epath.Path) -> Listing:
    """Reads its fakes, and real videos of the same subjects where there are any.

    The set holds fakes only. Its real videos are those of VidTIMIT, which come as
    single pictures and a sound file each: made into videos, they are read from
    `real/<subject>/<clip>.*`. The group is the subject shown; the swaps are between
    pairs of subjects, and the other one of a pair is a group of his own.

    Raises:
      InputError: Neither of the two folders is there, or a name cannot be read.
    """
    found = Listing()
    videos = []
    for folder, manipulation in {**_QUALITIES, _REALS: ""}.items():
        if not (input_dir / folder).is_dir():
            continue
        for path in listing_lib.walk(input_dir / folder):
            name = listing_lib.relative(path, input_dir)
            if not listing_lib.is_video(path):
                # The sound also lies beside each video as a file of its own.
                if path.suffix.lower() != ".wav":
                    found.left_out.append((name, "not a video"))
                continue
            parts = name.split("/")
            if len(parts) != 3 or (manipulation and "-video-" not in path.name):
                raise InputError(
                    f"{input_dir / name}: expected {folder}/<subject>/"
                    + ("<clip>-video-<target>.avi" if manipulation else "<clip>.avi")
                )
            listing_lib.check_name(input_dir, name, name)
            videos.append(
                Video(
                    video_id="",
                    path=name,
                    label="fake" if manipulation else "real",
                    group=parts[1],
                    manipulation=manipulation,
                    forged=spec.PICTURE if manipulation else "",
                )
            )
    if not any(v.label == "fake" for v in videos):
        raise InputError(
            f"{input_dir}: no videos in {' or '.join(_QUALITIES)}; expected the"
            " unpacked folder of DeepfakeTIMIT"
        )
    found.videos = listing_lib.with_unique_ids(videos)
    return found
