"""The service as one ASGI application.

/v1/models/...        TensorFlow Serving's REST interface (rest.py)
/v1/videos/...        uploads and what became of them (videos.py)
/docs /openapi.json   what can be asked (reference.py)
/healthz /readyz /metrics
"""

import asyncio
import contextlib
import pathlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any

import fastapi
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from tfmds.exporting import export_info
from tfmds.serving import answers, guard, jobs, reference, rest, videos
from tfmds.serving.config import MODEL_NAME, ServingConfig
from tfmds.serving.jobs import Jobs, Queue
from tfmds.serving.monitoring import Metrics
from tfmds.serving.process import Worker
from tfmds.serving.protocol import Protocol

_STATIC = pathlib.Path(__file__).parent / "static"
_LOGINS_PER_MINUTE = 10


def create_app(
    settings: ServingConfig, on_failure: Callable[[str], None] = lambda _: None
) -> fastapi.FastAPI:
    """Makes the application; its processes start and end with its lifespan.

    Args:
      settings: Limits and places.
      on_failure: Is told why the model cannot be loaded, where it cannot.

    Raises:
      InputError: There is no such model, or another service uses the data folder.
    """
    metrics = Metrics()
    worker = Worker(_worker_settings(settings), on_failure)
    queue = Queue(Jobs(settings.data_dir), settings, metrics)
    logins = guard.RateLimit(_LOGINS_PER_MINUTE)

    @contextlib.asynccontextmanager
    async def lifespan(_: fastapi.FastAPI) -> AsyncIterator[None]:
        processes = _start([worker.run()])
        judging = (queue.work(worker) for _ in range(settings.workers))
        work = _start([*judging, queue.sweep()])
        yield
        # First those who would take the end of a process for a crash.
        await _stop(work)
        await _stop(processes)
        queue.jobs.close()

    app = fastapi.FastAPI(
        title="tfmds",
        lifespan=lifespan,
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.include_router(rest.router(settings, worker, metrics))
    app.include_router(videos.router(settings, queue))
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> JSONResponse:
        """What can be asked, for programs."""
        return JSONResponse(reference.document(app, settings))

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        """What can be asked, for people."""
        return HTMLResponse(reference.page(reference.document(app, settings)))

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        """The web page."""
        return FileResponse(_STATIC / "index.html")

    @app.get("/v1/service")
    async def service(request: fastapi.Request) -> dict[str, Any]:
        """What the page should know before it sends anything."""
        return {
            "model": MODEL_NAME,
            "is_ready": worker.ready.is_set(),
            "needs_token": bool(settings.token),
            "is_known": guard.is_known(settings, request.headers),
            "max_upload_mb": settings.max_upload_mb,
            "max_video_seconds": settings.max_video_seconds,
            "keep_hours": settings.keep_hours,
        }

    @app.post("/v1/session", status_code=204)
    async def session(request: fastapi.Request) -> Response:
        """Gives a browser that knows the token a cookie."""
        address = request.client.host if request.client else ""
        if seconds := logins.seconds_to_wait(address):
            return answers.error(
                429, "too many tries; wait a minute", {"retry-after": str(seconds)}
            )
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not guard.is_token(settings, token.strip()):
            return answers.error(401, "this is not the token")
        answer = Response(status_code=204)
        answer.set_cookie(
            guard.COOKIE,
            guard.session_of(settings.token),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
            path=settings.root_path or "/",
        )
        return answer

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Whether the service is alive."""
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> JSONResponse:
        """Whether it can be asked."""
        if not worker.ready.is_set():
            return answers.error(503, "the model is being loaded", {"retry-after": "5"})
        return JSONResponse({"status": "ok"})

    @app.get("/metrics")
    async def metrics_page() -> Response:
        """Figures for Prometheus."""
        metrics.workers.set(worker.num_started)
        metrics.queued.set(queue.jobs.count(jobs.QUEUED))
        metrics.running.set(queue.jobs.count(jobs.RUNNING))
        return Response(metrics.render(), media_type="text/plain; version=0.0.4")

    @app.exception_handler(HTTPException)
    async def refuse(_: fastapi.Request, e: HTTPException) -> JSONResponse:
        return answers.error(e.status_code, str(e.detail), e.headers)

    @app.exception_handler(RequestValidationError)
    async def refuse_values(
        _: fastapi.Request, e: RequestValidationError
    ) -> JSONResponse:
        names = {str(found["loc"][-1]) for found in e.errors()}
        return answers.error(400, f"cannot read {', '.join(sorted(names))}")

    app.add_middleware(Protocol)
    # The last one is the outermost.
    app.add_middleware(guard.Guard, settings=settings, metrics=metrics)
    app.state.worker = worker
    return app


def _start(coroutines: Iterable[Coroutine]) -> list[asyncio.Task]:
    return [asyncio.create_task(coroutine) for coroutine in coroutines]


async def _stop(tasks: list[asyncio.Task]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _worker_settings(settings: ServingConfig) -> dict[str, Any]:
    return {
        "workers": settings.workers,
        # A wrong path is told at once, before any process looks at it.
        "model": str(export_info.find(settings.model)),
        "batch_size": settings.batch_size,
        "batch_window_ms": settings.batch_window_ms,
        "max_pixels": settings.max_pixels,
        "max_video_seconds": settings.max_video_seconds,
        "max_job_mb": settings.max_job_mb,
    }
