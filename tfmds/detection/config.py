"""What detection lets its user choose."""

import dataclasses
from typing import Any

from tfmds.common.errors import InputError
from tfmds.common.flags import FOLDER, setting
from tfmds.detection import terminal
from tfmds.detection.track_choice import TrackChoice
from tfmds.preprocessing.config import MediaLimits, MediaTracks


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectConfig(MediaTracks, MediaLimits):
    """By what to judge videos, and where the results go."""

    model: str | None = setting(
        None,
        "A folder that tfmds.export wrote; without it, or as starter, the package's"
        " own.",
    )
    server: str | None = setting(
        None,
        "Ask this model instead: http://host:8501/v1/models/mds. A token that it wants"
        " is taken from the environment variable TFMDS_TOKEN.",
    )
    list: str | None = setting(
        None,
        "A text file with the path of a video in each line; - is the input.",
    )
    json: bool = setting(False, "Print a JSON object a line, not a table.")
    csv: bool = setting(False, "Print CSV, not a table.")
    output_dir: str | None = setting(
        None,
        "Folder for results.jsonl and results.csv; what is finished there is not done"
        " again.",
        writes=FOLDER,
    )
    report: str | None = setting(
        None, "Folder for a page per video that a browser opens.", writes=FOLDER
    )
    tracks: str = setting(
        "all",
        "Which faces are scored: all, largest (only who is the largest in view most of"
        " their time), or numbers as the report shows them, such as 1,3.",
    )
    hop: float = setting(
        1.0,
        "A second is looked at every so many seconds, a multiple of 0.1; below 1 they"
        " overlap, which takes longer and finds where forgeries begin more finely.",
    )
    num_workers: int = setting(
        0,
        "Videos that are read at a time, a process each, some 1 GB of memory each; 0:"
        " one a core.",
        low=0,
    )

    def __post_init__(self) -> None:
        if self.json and self.csv:
            raise InputError("--json and --csv exclude each other; choose one")
        if self.model and self.server:
            raise InputError("--model and --server exclude each other; choose one")
        TrackChoice.parse(self.tracks)

    @property
    def chosen_tracks(self) -> dict[str, Any]:
        """The tracks of the files that are read, by setting, where one was chosen."""
        names = ("picture_track", "sound_track")
        return {name: number for name in names if (number := getattr(self, name))}

    @property
    def form(self) -> str:
        """How judgements are printed, as `Terminal` takes it."""
        if self.csv:
            return terminal.CSV
        return terminal.JSON if self.json else terminal.TABLE
