"""TensorFlow Serving's REST interface (https://www.tensorflow.org/tfx/serving/api_rest)."""

import asyncio

import fastapi
from starlette.responses import JSONResponse, Response

from tfmds.serving import answers, bodies, reference
from tfmds.serving.config import MODEL_NAME, ServingConfig
from tfmds.serving.monitoring import Metrics
from tfmds.serving.process import Worker, WorkerDied


def router(
    settings: ServingConfig, worker: Worker, metrics: Metrics
) -> fastapi.APIRouter:
    """The routes below /v1/models.

    Args:
      settings: Limits.
      worker: Who answers.
      metrics: Where is counted.
    """
    routes = fastapi.APIRouter()
    num_open = 0

    def missing(model: str, version: int | None) -> JSONResponse | None:
        if not worker.about:
            return answers.error(503, "the model is being loaded", {"retry-after": "5"})
        if model == MODEL_NAME and version in (None, worker.about["version"]):
            return None
        asked = f"Latest({model[:80]})"
        if version is not None:
            asked = f"Specific({model[:80]}, {version})"
        return answers.error(404, f"Servable not found for request: {asked}")

    def status(model: str, version: int | None = None) -> JSONResponse:
        """State of the model."""
        state = "AVAILABLE" if worker.ready.is_set() else "LOADING"
        return missing(model, version) or JSONResponse(
            {
                "model_version_status": [
                    {
                        "version": str(worker.about["version"]),
                        "state": state,
                        "status": {"error_code": "OK", "error_message": ""},
                    }
                ]
            }
        )

    def metadata(model: str, version: int | None = None) -> JSONResponse:
        """Signatures of the model."""
        return missing(model, version) or JSONResponse(
            {
                "model_spec": {
                    "name": MODEL_NAME,
                    "signature_name": "",
                    "version": str(worker.about["version"]),
                },
                "metadata": {
                    "signature_def": {"signature_def": worker.about["signature_def"]}
                },
            }
        )

    async def predict(
        request: fastapi.Request, model: str, version: int | None = None
    ) -> Response:
        """Distances of chunks (`serving_default`) or of track records (`examples`)."""
        nonlocal num_open
        if (answer := missing(model, version)) is not None:
            return answer
        if num_open >= settings.max_predictions:
            return answers.error(503, "too many requests wait", {"retry-after": "1"})
        num_open += 1
        try:
            body = await bodies.read(request, int(settings.max_predict_mb * 1e6))
            header, payload = await asyncio.wait_for(
                worker.ask({"kind": "predict"}, body), settings.max_predict_seconds
            )
        except bodies.Refused as e:
            return answers.error(e.code, str(e))
        except asyncio.TimeoutError:
            worker.kill()
            return answers.error(
                503, "the model took too long; send fewer chunks at a time"
            )
        except WorkerDied:
            return answers.error(
                503, "the model is being loaded again; try again", {"retry-after": "10"}
            )
        finally:
            num_open -= 1
        if "error" in header:
            return answers.error(400, header["error"])
        metrics.batched.observe(header["batched"])
        return Response(payload, media_type="application/json")

    async def malformed(request: fastapi.Request) -> JSONResponse:
        """Whatever else is asked below /v1/models."""
        return answers.error(
            400,
            f"Malformed request: {request.method} {request.url.path[:200]}",
        )

    for version in ("", "/versions/{version:int}"):
        base = "/v1/models/{model}" + version
        # A colon would otherwise be taken for a part of the name.
        routes.add_api_route(
            base + ":predict",
            predict,
            methods=["POST"],
            openapi_extra=reference.PREDICT_BODY,
        )
        routes.add_api_route(base + "/metadata", metadata, methods=["GET"])
        routes.add_api_route(base, status, methods=["GET"])
    routes.add_api_route(
        "/v1/models/{path:path}",
        malformed,
        methods=["GET", "POST", "PUT", "DELETE"],
        include_in_schema=False,
    )
    return routes
