"""FakeAVCeleb 1.2: meta_data.csv beside four folders, A to D."""

from etils import epath

from pipelines.layouts import listing as listing_lib
from pipelines.layouts.listing import Listing
from tfmds import spec
from tfmds.common import text_files
from tfmds.common.errors import InputError
from tfmds.data.manifest import Video

METADATA = "meta_data.csv"

# What the categories' letters mean; all but A are fakes.
_FORGED = {"A": "", "B": spec.SOUND, "C": spec.PICTURE, "D": spec.BOTH}
# The one method that leaves the face and draws the mouth alone.
_LIP_SYNC = "wav2lip"
# Columns of who lent face or voice, and what they hold where nobody did.
_LENDERS, _NOBODY = ("target1", "target2"), ("", "-")

# The table says where a video lies from above this folder, which may have another name.
_ROOT = "FakeAVCeleb"


def read(input_dir: epath.Path) -> Listing:
    """Reads the table; the group is the person shown (`source`).

    Persons whose faces or voices were lent (`target1`, `target2`) are others' groups,
    so a split by group keeps the shown ones apart, not the lent ones; a note says of
    how many videos that is so. The set states no split. The column `path` holds the
    file's name and the last column, which has no name, its folder.

    Raises:
      InputError: The table is missing or one of its fields cannot be used.
    """
    table = input_dir / METADATA
    if not table.is_file():
        raise InputError(
            f"{input_dir}: there is no {METADATA}; expected the unpacked folder of"
            " FakeAVCeleb (FakeAVCeleb_v1.2)"
        )
    rows = text_files.read_table(table, "the table of FakeAVCeleb", "")
    rows.need(("source", "method", "category", "path"))
    # People name the last column, and move its name from the file's.
    file_column = "filename" if "filename" in rows.columns else "path"
    if rows.columns.index(file_column) + 1 >= len(rows.columns):
        raise InputError(
            f"{table}: the last column, the videos' folders, is missing; it has"
            f" {', '.join(rows.columns)}"
        )
    found = Listing(table=METADATA)
    videos = {}
    lent = 0
    for line, row in rows.rows():
        where = f"{table}, line {line}"
        fields = dict(zip(rows.columns, row, strict=True))
        category = listing_lib.word(fields, "category", _FORGED, where)
        # A table that was saved anew on Windows may have its separators.
        folder = row[-1].strip().replace("\\", "/").strip("/")
        parts = folder.split("/")
        if parts[0] == _ROOT:
            folder = "/".join(parts[1:])
        name = f"{folder}/{fields[file_column].strip()}"
        listing_lib.check_name(input_dir, name, where)
        if name in videos:
            found.left_out.append((name, "in the table twice"))
            continue
        if not (input_dir / name).exists():
            found.missing.append(name)
        group, method = fields["source"].strip(), fields["method"].strip()
        lenders = {(fields.get(column) or "").strip() for column in _LENDERS}
        lent += bool(lenders - {*_NOBODY, group})
        videos[name] = Video(
            video_id="",
            path=name,
            label="fake" if _FORGED[category] else "real",
            group=group,
            manipulation=_manipulation(_FORGED[category], method),
            forged=_FORGED[category],
        )
    if lent:
        found.notes.append(
            f"{lent} of {len(videos)} videos have face or voice of a second person"
            " (target1, target2). Groups are of who is shown (source): who lent may be"
            " in another split, and is no stranger there"
        )
    found.videos = listing_lib.with_unique_ids(videos.values())
    return found


def _manipulation(forged: str, method: str) -> str:
    picture = "lip_sync" if method == _LIP_SYNC else "face_swap"
    parts = {spec.PICTURE: picture, spec.SOUND: "audio_swap"}
    parts[spec.BOTH] = "+".join(parts.values())
    return f"{parts[forged]}:{method}" if forged else ""
