"""FakeAVCeleb 1.2: meta_data.csv beside four folders, A to D."""

import csv
import io

from etils import epath

from pipelines.layouts import listing as listing_lib
from pipelines.layouts.listing import Listing
from tfmds.common.errors import InputError
from tfmds.data.manifest import Video

METADATA = "meta_data.csv"

# What the categories' letters mean; all but A are fakes.
_CATEGORIES = {
    "A": "",
    "B": "audio_swap",
    "C": "face_swap",
    "D": "face_swap+audio_swap",
}

# The table says where a video lies from above this folder, which may have another name.
_ROOT = "FakeAVCeleb"


def read(input_dir: epath.Path) -> Listing:
    """Reads the table; the group is the person shown (`source`).

    Persons whose faces or voices were lent (`target1`, `target2`) are others' groups,
    so a split by group keeps the shown ones apart, not the lent ones. The set states
    no split. The column `path` holds the file's name and the last column, which has no
    name, its folder.

    Raises:
      InputError: The table is missing or one of its fields cannot be used.
    """
    table = input_dir / METADATA
    if not table.is_file():
        raise InputError(
            f"{input_dir}: there is no {METADATA}; expected the unpacked folder of"
            " FakeAVCeleb (FakeAVCeleb_v1.2)"
        )
    reader = csv.reader(io.StringIO(table.read_text()))
    columns = next(reader, [])
    for name in ("source", "method", "category", "path"):
        if name not in columns:
            raise InputError(
                f"{table}: the column {name} is missing; it has {', '.join(columns)}"
            )
    found = Listing()
    videos = {}
    for line, row in enumerate(reader, start=2):
        where = f"{table}, line {line}"
        if len(row) < len(columns) or len(row) <= columns.index("path") + 1:
            raise InputError(
                f"{where}: {len(row)} fields, expected {max(len(columns), 10)}, the"
                " last of them the video's folder"
            )
        fields = dict(zip(columns, row, strict=False))
        category = listing_lib.word(fields, "category", _CATEGORIES, where)
        folder = row[-1].strip().strip("/")
        parts = folder.split("/")
        if parts[0] == _ROOT:
            folder = "/".join(parts[1:])
        name = f"{folder}/{fields['path'].strip()}"
        listing_lib.check_name(input_dir, name, where)
        if name in videos:
            found.left_out.append((name, "in the table twice"))
            continue
        if not (input_dir / name).exists():
            found.missing.append(name)
        method = fields["method"].strip()
        videos[name] = Video(
            video_id="",
            path=name,
            label="fake" if _CATEGORIES[category] else "real",
            group=fields["source"].strip(),
            manipulation=f"{_CATEGORIES[category]}:{method}" if category != "A" else "",
        )
    found.videos = listing_lib.with_unique_ids(videos.values())
    return found
