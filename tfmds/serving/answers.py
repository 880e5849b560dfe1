"""Errors as the service tells them."""

from collections.abc import Mapping

from starlette.responses import JSONResponse


def error(
    code: int, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An answer that says in one sentence what is wrong."""
    return JSONResponse({"error": message}, code, headers)
