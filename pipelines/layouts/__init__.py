"""Data set layouts: from a folder as downloaded to a list of videos."""

import os
from collections.abc import Callable

from etils import epath

from pipelines.layouts import (
    avdeepfake1m,
    deepfaketimit,
    dfdc,
    face_sets,
    fakeavceleb,
    folders,
    lavdf,
    listing,
)
from pipelines.layouts.listing import Listing
from tfmds.common.errors import InputError

LAYOUTS: dict[str, Callable[[epath.Path], Listing]] = {
    "dfdc": dfdc.read,
    "folders": folders.read,
    "fakeavceleb": fakeavceleb.read,
    "lavdf": lavdf.read,
    "avdeepfake1m": avdeepfake1m.read,
    "deepfaketimit": deepfaketimit.read,
    "faces": face_sets.read,
    "faces_dfdc": face_sets.read_dfdc,
    "faces_celebdf": face_sets.read_celebdf,
    "faces_faceforensics": face_sets.read_faceforensics,
}

# Data sets that people ask for and that cannot be used here.
_REFUSED = {
    "faceforensics": "the clips of FaceForensics++ have no sound, and tfmds compares"
    " sound and picture; faces cut out of them are read by faces_faceforensics",
}


def read(layout: str, input_dir: os.PathLike | str) -> Listing:
    """Lists the videos of a data set.

    Raises:
      InputError: The layout is unknown, the folder does not exist, or something in it
        cannot be read.
    """
    name = layout.lower().replace("-", "").replace("_", "").replace("+", "")
    if name in _REFUSED:
        raise InputError(f"layout {layout!r}: {_REFUSED[name]}")
    if layout not in LAYOUTS:
        raise InputError(
            f"unknown layout {layout!r}, expected one of {', '.join(LAYOUTS)}"
        )
    folder = epath.Path(input_dir)
    if not folder.is_dir():
        raise InputError(f"{input_dir}: there is no such folder (--input_dir)")
    found = LAYOUTS[layout](folder)
    paths = (listing.relative(path, folder) for path in listing.walk(folder))
    listing.leave_out_unlisted(found, paths, found.table)
    return found
