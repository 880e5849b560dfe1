"""Videos that were uploaded: a table on disk, and the queue that works it off."""

import asyncio
import contextlib
import dataclasses
import fcntl
import json
import pathlib
import sqlite3
import time

from tfmds.common import files, messages
from tfmds.common.errors import InputError
from tfmds.serving import log
from tfmds.serving.config import ServingConfig
from tfmds.serving.monitoring import Metrics
from tfmds.serving.process import Worker, WorkerDied
from tfmds.serving.uploads import Upload

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"

# Files in the folder of a job.
UPLOAD_FILE = "upload"
RESULT_FILE, DETAILS_FILE, REPORT_FILE = "result.json", "details.json", "report.html"

# Files of the table.
_TABLE, _LOCK = "jobs.db", "lock"

# A video that was at work so many times when the service was killed may be the reason.
_MAX_ATTEMPTS = 3
# Seconds between two looks for what is to be deleted.
_SWEEP_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Job:
    """A row of the table.

    Attributes:
      number: Order of arrival.
      id: Whoever knows it may see the video.
      name: Of the file, to be shown.
      size: Bytes of the file.
      digest: SHA-256 of the file.
      media_type: By its content.
      state: `queued`, `running`, `done` or `failed`.
      error: Why it failed, a sentence.
      attempts: How often it was started.
      created: Seconds since 1970, as `finished`.
      finished: None while it is not.
    """

    number: int
    id: str
    name: str
    size: int
    digest: str
    media_type: str
    state: str
    error: str
    attempts: int
    created: float
    finished: float | None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will become of it."""
        return self.state in (DONE, FAILED)


class Jobs:
    """The table, and a folder for each job.

    Whatever is told to a client was committed to disk before. Whoever is `running`
    when the service starts was interrupted, and is queued again.

    Raises:
      InputError: Another service uses the folder, or it holds something else.
    """

    def __init__(self, data_dir: str):
        self._root = pathlib.Path(data_dir)
        self._root.mkdir(parents=True, exist_ok=True)
        # What no job is of is deleted, and nobody else may look in: not in a folder of
        # somebody's own files.
        inside = {path.name for path in self._root.iterdir()}
        if _TABLE not in inside and inside - {_LOCK}:
            raise InputError(
                f"{data_dir}: holds files that are not of tfmds.serve, such as"
                f" {min(inside - {_LOCK})}; name a new or empty folder with --data_dir"
            )
        self._root.chmod(0o700)
        self._lock = open(self._root / _LOCK, "w")  # noqa: SIM115
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise InputError(
                f"{data_dir}: another service uses this folder; name another one with"
                " --data_dir"
            ) from e
        self._db = sqlite3.connect(
            self._root / _TABLE, isolation_level=None, check_same_thread=False
        )
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS jobs (number INTEGER PRIMARY KEY AUTOINCREMENT,"
            " id TEXT UNIQUE, name TEXT, size INTEGER, digest TEXT, media_type TEXT,"
            " state TEXT, error TEXT DEFAULT '', attempts INTEGER DEFAULT 0,"
            " created REAL, finished REAL)"
        )
        self._recover()

    def close(self) -> None:
        """Lets another service have the folder."""
        self._db.close()
        self._lock.close()

    def folder(self, job_id: str) -> pathlib.Path:
        """Where a job's files are."""
        return self._root / "videos" / job_id

    def add(self, job_id: str, upload: Upload) -> Job:
        """Queues an upload whose file is in the job's folder."""
        self._db.execute(
            "INSERT INTO jobs (id, name, size, digest, media_type, state, created)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(job_id, upload.name, upload.size, upload.digest, upload.media_type),
                *(QUEUED, time.time()),
            ),
        )
        job = self.get(job_id)
        assert job is not None
        return job

    def get(self, job_id: str) -> Job | None:
        """The job, None where there is none (any more)."""
        return self._one("SELECT * FROM jobs WHERE id = ?", job_id)

    def claim(self) -> Job | None:
        """Takes the oldest job that waits."""
        return self._one(
            "UPDATE jobs SET state = 'running', attempts = attempts + 1 WHERE number ="
            " (SELECT min(number) FROM jobs WHERE state = 'queued') RETURNING *"
        )

    def put_back(self, job_id: str) -> None:
        """Lets a job wait again."""
        self._db.execute("UPDATE jobs SET state = 'queued' WHERE id = ?", (job_id,))

    def finish(self, job_id: str, error: str = "") -> None:
        """Ends a job; with an error it failed."""
        self._db.execute(
            "UPDATE jobs SET state = ?, error = ?, finished = ? WHERE id = ?",
            (FAILED if error else DONE, error, time.time(), job_id),
        )

    def delete(self, job_id: str) -> None:
        """Forgets a job and all its files."""
        self._db.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
        files.remove_folder(self.folder(job_id))

    def count(self, state: str | None) -> int:
        """Jobs in a state; None for any."""
        query = "SELECT count(*) FROM jobs WHERE ? IN (state, '')"
        return self._db.execute(query, (state or "",)).fetchone()[0]

    def newest(self, most: int, state: str | None = None) -> list[Job]:
        """Jobs, those that came last first; `state` is the only one that is wanted."""
        rows = self._db.execute(
            "SELECT * FROM jobs WHERE ? IN (state, '') ORDER BY number DESC LIMIT ?",
            (state or "", most),
        )
        return [Job(**row) for row in rows]

    def num_before(self, job: Job) -> int:
        """Jobs that wait and come first."""
        query = "SELECT count(*) FROM jobs WHERE state = 'queued' AND number < ?"
        return self._db.execute(query, (job.number,)).fetchone()[0]

    def older_than(self, seconds: float) -> list[Job]:
        """Jobs that are over and were uploaded before so many seconds."""
        rows = self._db.execute(
            "SELECT * FROM jobs WHERE created < ? AND state IN ('done', 'failed')",
            (time.time() - seconds,),
        )
        return [Job(**row) for row in rows]

    def _recover(self) -> None:
        self._db.execute(
            "UPDATE jobs SET state = 'failed', finished = ?, error = ? WHERE state ="
            " 'running' AND attempts >= ?",
            (
                time.time(),
                "the service stopped several times while it worked on this video",
                _MAX_ATTEMPTS,
            ),
        )
        self._db.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
        files.clear_removed(self._root / "videos")
        # Uploads that were broken off.
        known = {row["id"] for row in self._db.execute("SELECT id FROM jobs")}
        for folder in (self._root / "videos").glob("*"):
            if folder.name not in known:
                files.remove_folder(folder)

    def _one(self, query: str, *values: object) -> Job | None:
        row = self._db.execute(query, values).fetchone()
        return Job(**row) if row else None


class Queue:
    """Works off the table.

    Attributes:
      jobs: The table.
      progress: Of running jobs by id, from 0 to 1.
    """

    def __init__(self, jobs: Jobs, settings: ServingConfig, metrics: Metrics):
        self.jobs = jobs
        self.progress: dict[str, float] = {}
        self._settings = settings
        self._metrics = metrics
        self._changed = asyncio.Event()
        # What is asked about running jobs.
        self._asked: dict[str, asyncio.Future] = {}

    def notify(self) -> None:
        """Wakes who waits for a change."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_for_change(self, seconds: float) -> bool:
        """Waits for the next change of any job; returns whether one came in time."""
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        return True

    def delete(self, job_id: str) -> None:
        """Forgets a job; one that is at work is stopped."""
        self.jobs.delete(job_id)
        if job_id in self._asked:
            self._asked[job_id].cancel()
        self.notify()

    async def work(self, worker: Worker) -> None:
        """Gives a worker one job after the other, until cancelled."""
        while True:
            await worker.ready.wait()
            job = self.jobs.claim()
            if job is None:
                await self.wait_for_change(_SWEEP_SECONDS)
                continue
            start = time.monotonic()
            self.progress[job.id] = 0.0
            self.notify()
            error = await self._judge(worker, job)
            self.progress.pop(job.id, None)
            if self.jobs.get(job.id) is None:
                # Deleted meanwhile, perhaps while its result was written.
                self.jobs.delete(job.id)
                error = error or "it was deleted"
            elif error is None:
                self.jobs.put_back(job.id)
                continue
            else:
                self.jobs.finish(job.id, error)
            self._tell_end(job, error, time.monotonic() - start)
            self.notify()

    def _tell_end(self, job: Job, error: str, seconds: float) -> None:
        """Counts and logs the end of a job."""
        end, status = FAILED if error else DONE, None
        if not error:
            with contextlib.suppress(OSError):
                path = self.jobs.folder(job.id) / RESULT_FILE
                status = json.loads(path.read_text()).get("status")
        self._metrics.jobs.labels(end).inc()
        if status:
            self._metrics.results.labels(status).inc()
        self._metrics.job_seconds.observe(seconds)
        log.write(
            "job",
            job=log.job(job.id),
            end=end,
            status=status,
            error=error or None,
            seconds=round(seconds, 2),
            waited=round(time.time() - job.created - seconds, 2),
            bytes=job.size,
            type=job.media_type,
            attempts=job.attempts,
        )

    async def sweep(self) -> None:
        """Deletes what is too old, until cancelled."""
        while True:
            for job in self.jobs.older_than(self._settings.keep_hours * 3600):
                self.delete(job.id)
            kept = self._settings.keep_hours * 3600
            await asyncio.sleep(max(1, min(_SWEEP_SECONDS, kept)))

    async def _judge(self, worker: Worker, job: Job) -> str | None:
        """Why it failed; empty where it did not, None where it has another turn."""

        def on_progress(header: messages.Header) -> None:
            self.progress[job.id] = header["progress"]
            self.notify()

        question = {
            "kind": "judge",
            "folder": str(self.jobs.folder(job.id)),
            "name": job.name,
            "digest": job.digest,
        }
        limit = self._settings.max_job_seconds
        asked = asyncio.ensure_future(worker.ask(question, on_progress=on_progress))
        self._asked[job.id] = asked
        try:
            await asyncio.wait([asked], timeout=limit)
            if not asked.done():
                asked.cancel()
                await asyncio.wait([asked])
            await worker.stopped()
            if asked.cancelled() and self.jobs.get(job.id) is not None:
                return f"the video took longer than {limit:g} seconds, and was given up"
            if asked.cancelled():
                return "it was deleted"
            answer, _ = asked.result()
        except WorkerDied:
            # It decodes no video, and others were at work in it: none is to blame yet.
            if job.attempts < _MAX_ATTEMPTS:
                return None
            return "the analysis crashed on this video; its file may be damaged"
        finally:
            del self._asked[job.id]
            asked.cancel()
        return answer.get("error", "")
