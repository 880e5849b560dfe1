"""What the service lets its operator choose."""

import dataclasses
import ipaddress
import os
import re
import sys

from tfmds.common.errors import InputError
from tfmds.common.flags import FOLDER, setting
from tfmds.preprocessing.config import MediaLimits

# The name under which the model is served.
MODEL_NAME = "mds"
# Names that lead to this machine from itself.
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")


@dataclasses.dataclass(frozen=True)
class ServingConfig(MediaLimits):
    """Limits and places."""

    model: str | None = setting(
        None,
        "A folder that tfmds.export wrote; without it, or as starter, the package's"
        " own.",
    )
    data_dir: str = setting(
        os.path.join(os.path.expanduser("~"), ".cache", "tfmds", "serve"),
        "Folder for uploads, results and the list of jobs.",
        writes=FOLDER,
    )
    allowed_hosts: tuple[str, ...] = setting(
        (),
        "Names under which the service is reached, besides localhost and --host; * for"
        " any.",
    )
    token: str = setting(
        "",
        "Who knows it may use the service; better given as the environment variable"
        " TFMDS_TOKEN. Empty: everybody who can reach it.",
    )
    root_path: str = setting(
        "",
        "Path below which a proxy shows the service, such as /tfmds.",
    )

    max_connections: int = setting(
        256, "Requests at the same time; more get 503.", low=1
    )
    batch_size: int = setting(
        8, "Seconds of video (chunks) given to the model at a time, at most.", low=1
    )
    batch_window_ms: float = setting(
        5.0, "Milliseconds a request waits for others to join its batch.", low=0
    )
    max_predict_mb: float = setting(
        64.0, "Largest body of a :predict request, in megabytes.", low=0
    )
    max_predictions: int = setting(
        64, ":predict requests at work or waiting; more get 503.", low=1
    )
    max_predict_seconds: float = setting(
        300.0, "Seconds for one; a model that takes longer is loaded anew.", low=0
    )

    max_upload_mb: float = setting(1024.0, "Largest upload, in megabytes.", low=0)
    max_video_seconds: float = setting(3600.0, "Longest video, in seconds.", low=0)
    workers: int = setting(
        1, "Videos that are read at the same time, a process each.", low=1
    )
    max_queued: int = setting(100, "Videos that wait; more get 503.", low=1)
    max_uploads: int = setting(8, "Uploads at the same time; more get 503.", low=1)
    uploads_per_minute: int = setting(
        60, "Uploads of one address in a minute; more get 429.", low=1
    )
    max_job_seconds: float = setting(1800.0, "Time for one video, in seconds.", low=0)
    max_job_mb: int = setting(
        4096,
        "Memory that reading one video may take beyond what its process always needs,"
        " in megabytes.",
        low=1,
    )
    keep_hours: float = setting(
        24.0, "Uploads and results are deleted after so many hours.", low=0
    )

    def __post_init__(self) -> None:
        if not re.fullmatch(r"(/[\w.~-]+)*", self.root_path):
            raise InputError(
                f"--root_path={self.root_path}: expected a path such as /tfmds, with no"
                " / at its end"
            )

    def warn_of_strangers(self, host: str) -> None:
        """Says where others than this machine may ask, and nobody needs a token."""
        try:
            is_local = ipaddress.ip_address(host).is_loopback
        except ValueError:
            is_local = host in LOCAL_HOSTS
        if not self.token and not is_local:
            print(
                f"warning: --host={host} without a token: whoever reaches this machine"
                " may upload videos. Set TFMDS_TOKEN",
                file=sys.stderr,
            )
