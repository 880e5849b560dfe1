"""Uploaded videos: jobs, their progress, results and pages."""

import json
import re
import secrets
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import fastapi
from sse_starlette import EventSourceResponse
from starlette.responses import FileResponse, Response

from tfmds.serving import answers, bodies, guard, jobs, reference, uploads
from tfmds.serving.config import ServingConfig
from tfmds.serving.jobs import Job, Queue

# Seconds after which to ask again.
_RETRY_FULL = 30
# Seconds without an event after which a connection is shown to be alive.
_PING_SECONDS = 15
_ID = re.compile(r"[A-Za-z0-9_-]{22}")
# The report holds scripts of its own; it may do nothing else.
_REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline';"
    " script-src 'unsafe-inline'; frame-ancestors 'none'; sandbox allow-scripts"
)


def router(settings: ServingConfig, queue: Queue) -> fastapi.APIRouter:
    """The routes below /v1/videos.

    Args:
      settings: Limits.
      queue: Where jobs go.
    """
    routes = fastapi.APIRouter(prefix="/v1/videos")
    limit = guard.RateLimit(settings.uploads_per_minute)
    num_uploading = 0

    def find(job_id: str) -> Job:
        job = queue.jobs.get(job_id) if _ID.fullmatch(job_id) else None
        if job is None:
            raise fastapi.HTTPException(
                404,
                "there is no such video; it may have been deleted, which happens after"
                f" {settings.keep_hours:g} hours",
            )
        return job

    def file_of(job_id: str, name: str) -> str:
        job = find(job_id)
        if name != jobs.UPLOAD_FILE and job.state != jobs.DONE:
            raise fastapi.HTTPException(
                409, f"there is no result: the video is {job.state}"
            )
        return str(queue.jobs.folder(job.id) / name)

    def about(job: Job) -> dict[str, Any]:
        said: dict[str, Any] = {
            "id": job.id,
            "name": job.name,
            "size": job.size,
            "sha256": job.digest,
            "state": job.state,
            "progress": 1.0 if job.is_over else queue.progress.get(job.id, 0.0),
            "created": job.created,
            "finished": job.finished,
        }
        if job.state == jobs.QUEUED:
            said["before"] = queue.jobs.num_before(job)
        if job.error:
            said["error"] = job.error
        return said

    def state_of(job: Job) -> dict[str, Any]:
        said = about(job)
        if job.state == jobs.DONE:
            path = queue.jobs.folder(job.id) / jobs.RESULT_FILE
            said["result"] = json.loads(path.read_text())
        return said

    def busy() -> Response | None:
        if num_uploading >= settings.max_uploads:
            reason = "too many uploads at the same time"
        elif queue.jobs.count(jobs.QUEUED) + num_uploading >= settings.max_queued:
            reason = "too many videos wait"
        else:
            return None
        return answers.error(
            503, f"{reason}; try again later", {"retry-after": str(_RETRY_FULL)}
        )

    @routes.post("", status_code=202, openapi_extra=reference.UPLOAD_BODY)
    async def upload(request: fastapi.Request) -> Response:
        """Takes a video and returns its job."""
        nonlocal num_uploading
        if (answer := busy()) is not None:
            return answer
        address = request.client.host if request.client else ""
        if seconds := limit.seconds_to_wait(address):
            return answers.error(
                429,
                "too many uploads in a minute; try again later",
                {"retry-after": str(seconds)},
            )
        job_id = secrets.token_urlsafe(16)
        folder = queue.jobs.folder(job_id)
        folder.mkdir(parents=True)
        num_uploading += 1
        is_taken = False
        try:
            received = await uploads.receive(
                request, folder / jobs.UPLOAD_FILE, int(settings.max_upload_mb * 1e6)
            )
            job = queue.jobs.add(job_id, received)
            is_taken = True
        except bodies.Refused as e:
            return answers.error(e.code, str(e))
        finally:
            num_uploading -= 1
            if not is_taken:
                queue.jobs.delete(job_id)
        queue.notify()
        return fastapi.responses.JSONResponse(
            state_of(job),
            202,
            {"location": f"{settings.root_path}/v1/videos/{job_id}"},
        )

    @routes.get("")
    async def listing(
        state: Literal["queued", "running", "done", "failed"] | None = None,
        limit: Annotated[int, fastapi.Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        """The jobs that came last, without their results; needs a token."""
        if not settings.token:
            raise fastapi.HTTPException(
                403,
                "the list shows every video to whoever asks: it is given where the"
                " service has a token (TFMDS_TOKEN)",
            )
        return {
            "videos": [about(job) for job in queue.jobs.newest(limit, state)],
            "count": queue.jobs.count(state),
        }

    @routes.get("/{job_id}")
    async def show(job_id: str) -> dict[str, Any]:
        """State of a job, with the result where it is done."""
        return state_of(find(job_id))

    @routes.delete("/{job_id}", status_code=204)
    async def delete(job_id: str) -> Response:
        """Deletes a video and all that is known of it."""
        queue.delete(find(job_id).id)
        return Response(status_code=204)

    @routes.get("/{job_id}/events")
    async def events(job_id: str) -> EventSourceResponse:
        """The job's state as server-sent events, until it is over."""
        find(job_id)

        async def stream() -> AsyncIterator[dict[str, str]]:
            last = None
            while (job := queue.jobs.get(job_id)) is not None:
                said = json.dumps(state_of(job))
                if said != last:
                    yield {"data": said}
                    last = said
                if job.is_over:
                    return
                await queue.wait_for_change(_PING_SECONDS)

        return EventSourceResponse(stream(), ping=_PING_SECONDS)

    @routes.get("/{job_id}/result")
    async def result(job_id: str) -> FileResponse:
        """What `tfmds.detect --json` prints."""
        return FileResponse(file_of(job_id, jobs.RESULT_FILE))

    @routes.get("/{job_id}/details")
    async def details(job_id: str) -> FileResponse:
        """The result with words and faces, for the web page."""
        return FileResponse(file_of(job_id, jobs.DETAILS_FILE))

    @routes.get("/{job_id}/report")
    async def report(job_id: str) -> FileResponse:
        """The report page."""
        return FileResponse(
            file_of(job_id, jobs.REPORT_FILE),
            headers={"content-security-policy": _REPORT_POLICY},
        )

    @routes.get("/{job_id}/video")
    async def video(job_id: str) -> FileResponse:
        """The upload, in parts where they are asked for."""
        path = file_of(job_id, jobs.UPLOAD_FILE)
        return FileResponse(
            path,
            media_type=find(job_id).media_type,
            # A player asks for the same parts again and again.
            headers={"cache-control": "private, max-age=600"},
        )

    return routes
