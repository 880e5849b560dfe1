"""LAV-DF: one list of videos with the periods in which each is forged."""

from etils import epath

from pipelines.layouts import listing as listing_lib
from pipelines.layouts.listing import Listing
from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.data.manifest import Video

# The second is what the authors' own reader takes: the same without transcripts.
METADATA = ("metadata.json", "metadata.min.json")

_FORGED = {
    (): "",
    ("video",): spec.PICTURE,
    ("audio",): spec.SOUND,
    ("video", "audio"): spec.BOTH,
}

_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


def read(input_dir: epath.Path) -> Listing:
    """Reads the list; splits are those of the set, `dev` is our validation.

    A fake's group is its original, a real video's its own name. What the list calls
    modified is a fake, also where it has no periods: of such the whole counts as
    fake, and a note says how many there are.

    Raises:
      InputError: There is no list or one of its fields cannot be used.
    """
    source = next((input_dir / n for n in METADATA if (input_dir / n).is_file()), None)
    if source is None:
        raise InputError(f"{input_dir}: there is no {' nor '.join(METADATA)} of LAV-DF")
    found = Listing(table=source.name)
    videos = []
    without_periods = 0
    for number, fields in enumerate(listing_lib.read_list(source)):
        where = f"{source}, entry {number}"
        name = listing_lib.required_text(fields, "file", where)
        where = f"{source}, {name}"
        periods = listing_lib.periods(fields, "fake_periods", where)
        split = _SPLITS[listing_lib.word(fields, "split", _SPLITS, where)]
        listing_lib.check_name(input_dir, name, where)
        if not (input_dir / name).exists():
            found.missing.append(name)
        modified = [w for w in ("video", "audio") if fields.get(f"modify_{w}")]
        is_fake = bool(periods or modified or fields.get("n_fakes"))
        without_periods += is_fake and not periods
        videos.append(
            Video(
                video_id="",
                path=name,
                label="fake" if is_fake else "real",
                split=split,
                group=listing_lib.text(fields, "original", where) or name,
                manipulation="+".join(modified),
                fake_periods=periods,
                forged=_FORGED[tuple(modified)],
            )
        )
    if without_periods:
        found.notes.append(
            f"of {without_periods} fakes the list has no fake_periods: all of each"
            " counts as fake, and localization learns and is measured by that"
        )
    found.videos = listing_lib.with_unique_ids(videos)
    return found
