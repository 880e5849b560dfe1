"""Plain folders: {train,test}/{real,fake}/*.mp4, or real/ and fake/ alone."""

from etils import epath

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
    are groups of their own, real/x.mp4 and fake/x.mp4 one together.

    Raises:
      InputError: There is no folder real/ or fake/, or no video in them.
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
                    found.left_out.append((relative, "not a video by its extension"))
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
    found.videos = listing_lib.with_unique_ids(videos)
    return found
