"""What can be asked of the service: OpenAPI's document, and a page of it."""

from typing import Any

import fastapi
import jinja2
from fastapi.openapi.utils import get_openapi

from tfmds.serving.config import ServingConfig

_VIDEO = {"schema": {"type": "string", "format": "binary"}}
# Bodies are read as they come, which FastAPI knows nothing of.
UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "description": "A video as it is, with its name as ?name=, or as the only file"
        " of a form; gzip is unpacked.",
        "content": {
            "application/octet-stream": _VIDEO,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    },
    "parameters": [
        {
            "name": "name",
            "in": "query",
            "description": "What the file is called, to be shown.",
            "schema": {"type": "string"},
        }
    ],
}
PREDICT_BODY = {
    "requestBody": {
        "required": True,
        "description": "`instances` or `inputs`, and a `signature_name`.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "signature_name": {"type": "string"},
                        "instances": {"type": "array", "items": {}},
                        "inputs": {},
                    },
                }
            }
        },
    }
}
_ERROR = {
    "description": "What is wrong, in a sentence.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {"type": "string"}},
            }
        }
    },
}


def document(app: fastapi.FastAPI, settings: ServingConfig) -> dict[str, Any]:
    """OpenAPI's document of an application, with its errors as they are."""
    found = get_openapi(
        title="tfmds",
        version="1",
        description="Whether mouth and voice of a video belong together.",
        routes=app.routes,
    )
    found["servers"] = [{"url": settings.root_path or "/"}]
    # Of errors as FastAPI would have them.
    found.pop("components", None)
    for path in found["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = _ERROR
    if settings.token:
        schemes = {"token": {"type": "http", "scheme": "bearer"}}
        found["components"] = {"securitySchemes": schemes}
        found["security"] = [{"token": []}]
    return found


def page(document: dict[str, Any]) -> str:
    """The document for people, as a page that loads nothing from elsewhere."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfmds.serving"), autoescape=True
    )
    return environment.get_template("reference.html").render(document)
