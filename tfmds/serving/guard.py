"""What every request passes: who may ask, what an answer carries, what is counted."""

import hashlib
import hmac
import http.cookies
import logging
import math
import time
from collections.abc import Mapping

import limits
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tfmds.serving.config import LOCAL_HOSTS, ServingConfig
from tfmds.serving.monitoring import Metrics

COOKIE = "tfmds"

_OPEN_PATHS = ("/", "/healthz", "/readyz", "/v1/session", "/v1/service")
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src 'self' data:; media-src 'self' blob:; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


def session_of(token: str) -> str:
    """What a browser keeps instead of the token."""
    return hashlib.sha256(f"tfmds session {token}".encode()).hexdigest()


def is_token(settings: ServingConfig, token: str) -> bool:
    """Whether someone knows the token, told in a time that does not depend on it."""
    return hmac.compare_digest(token.encode(), settings.token.encode())


def is_known(settings: ServingConfig, headers: Headers) -> bool:
    """Whether a request comes with the token, or with the cookie it was traded for."""
    if not settings.token:
        return True
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return is_token(settings, token.strip())
    cookies = http.cookies.SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except http.cookies.CookieError:
        return False
    session = cookies[COOKIE].value if COOKIE in cookies else ""
    return hmac.compare_digest(session.encode(), session_of(settings.token).encode())


class Guard:
    """ASGI middleware around the whole service."""

    def __init__(self, app: ASGIApp, settings: ServingConfig, metrics: Metrics):
        self._app = app
        self._settings = settings
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or lets it through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        code = 500

        async def send_safely(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                headers = MutableHeaders(raw=message["headers"])
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                message["headers"] = headers.raw
            await send(message)

        try:
            refusal = self._refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, send_safely)
            else:
                await self._answer(scope, receive, send_safely)
        finally:
            # The pattern of the path, not the path: identifiers would fill the table.
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(route, method, str(code)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - start)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_started = False

        async def note(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Exception:
            # What happened is for the operator, not for who asked.
            logging.getLogger("tfmds.serving").exception("a request failed")
            if not has_started:
                answer = error(500, "the service met an error of its own")
                await answer(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").rsplit("@")[-1]
        name = host if host.endswith("]") else host.rsplit(":", 1)[0]
        allowed = (*LOCAL_HOSTS, *self._settings.allowed_hosts)
        # Otherwise any web page could have its own name lead to a service on loopback.
        if "*" not in allowed and name.lower() not in allowed:
            return error(400, "the service is not reached by this name")
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and headers.get(
            "sec-fetch-site", "same-origin"
        ) not in ("same-origin", "none"):
            return error(403, "requests of other web sites are not answered")
        path = scope["path"]
        if path in _OPEN_PATHS or path.startswith("/static/"):
            return None
        if not is_known(self._settings, headers):
            return error(
                401,
                "a token is needed: send the header 'Authorization: Bearer TOKEN'",
                {"www-authenticate": "Bearer"},
            )
        return None


class RateLimit:
    """So many times a minute for each address."""

    def __init__(self, per_minute: int):
        self._item = limits.RateLimitItemPerMinute(per_minute)
        storage = limits.storage.MemoryStorage()
        self._limiter = limits.strategies.MovingWindowRateLimiter(storage)

    def seconds_to_wait(self, address: str) -> int:
        """Takes one, and returns 0; where none is left, when there will be one."""
        if self._limiter.hit(self._item, address):
            return 0
        then = self._limiter.get_window_stats(self._item, address).reset_time
        return max(1, math.ceil(then - time.time()))


def error(
    code: int, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An answer that says in one sentence what is wrong."""
    return JSONResponse({"error": message}, code, headers)
