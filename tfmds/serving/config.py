"""What the service lets its operator choose."""

import dataclasses

# The name under which the model is served.
MODEL_NAME = "mds"


@dataclasses.dataclass(frozen=True)
class ServingConfig:
    """Limits and places; each is a flag of `tfmds.serve` with the same name."""

    # Folder that tfmds.export wrote.
    model: str
    # Folder for uploads, results and the list of jobs.
    data_dir: str
    # Names under which browsers may reach the service; * for any.
    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    # Who knows it may use the service; empty: everybody who can reach it.
    token: str = ""

    # Chunks that are given to the model at a time, at most.
    batch_size: int = 8
    # How long a request waits for others to be answered with it, in milliseconds.
    batch_window_ms: float = 5.0
    # Largest body of a :predict request, in megabytes.
    max_predict_mb: float = 64.0
    # :predict requests that are worked on or wait; more are refused.
    max_predictions: int = 64
    # A model that takes longer than this, in seconds, is loaded again.
    max_predict_seconds: float = 300.0

    # Largest upload, in megabytes.
    max_upload_mb: float = 1024.0
    # Longest video, in seconds.
    max_video_seconds: float = 3600.0
    # Largest picture, in millions of pixels; 4K has 9.
    max_megapixels: float = 10.0
    # Videos that are judged at the same time, a process each.
    workers: int = 1
    # Videos that wait; more are refused.
    max_queued: int = 100
    # Uploads at the same time; more are refused.
    max_uploads: int = 8
    # Uploads of one address in a minute; more are refused.
    uploads_per_minute: int = 60
    # Time for one video, in seconds.
    max_job_seconds: float = 1800.0
    # Memory that one video may take beyond the model, in megabytes.
    max_job_mb: int = 4096
    # Uploads and results are deleted after so many hours.
    keep_hours: float = 24.0
