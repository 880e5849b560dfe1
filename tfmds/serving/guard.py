"""What every request passes: who may ask, what an answer carries, what is counted."""

import hashlib
import hmac
import http.cookies
import ipaddress
import math
import time

import limits
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tfmds.serving import answers, log
from tfmds.serving.config import LOCAL_HOSTS, ServingConfig
from tfmds.serving.monitoring import Metrics

COOKIE = "tfmds"

# What tells whether the service is well: asked by address, and again and again.
_PROBES = ("/healthz", "/readyz")
_OPEN_PATHS = ("/", *_PROBES, "/v1/session", "/v1/service", "/docs", "/openapi.json")
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
        self._num_open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or lets it through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = self._below_root(scope)
        start = time.perf_counter()
        code, sent = 500, 0

        async def send_safely(message: Message) -> None:
            nonlocal code, sent
            sent += len(message.get("body", b""))
            if message["type"] == "http.response.start":
                code = message["status"]
                headers = MutableHeaders(raw=message["headers"])
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                message["headers"] = headers.raw
            await send(message)

        self._num_open += 1
        try:
            refusal = self._refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, send_safely)
            else:
                await self._answer(scope, receive, send_safely)
        finally:
            self._num_open -= 1
            # The pattern of the path, not the path: identifiers would fill the table.
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            seconds = time.perf_counter() - start
            self._metrics.requests.labels(route, method, str(code)).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            if code >= 400 or scope["path"] not in (*_PROBES, "/metrics"):
                self._log(scope, route, method, code, seconds, sent)

    def _below_root(self, scope: Scope) -> Scope:
        """A request as it is without the path that a proxy puts before all others."""
        root, path = self._settings.root_path, scope["path"]
        if root and path.startswith(f"{root}/"):
            path = path.removeprefix(root)
        raw = path.encode() if path != scope["path"] else scope.get("raw_path")
        return {**scope, "path": path, "raw_path": raw, "root_path": ""}

    def _log(
        self,
        scope: Scope,
        route: str,
        method: str,
        code: int,
        seconds: float,
        sent: int,
    ) -> None:
        client = scope.get("client")
        job_id = scope.get("path_params", {}).get("job_id")
        log.write(
            "request",
            method=method,
            route=route,
            job=log.job(job_id) if job_id else None,
            status=code,
            seconds=round(seconds, 4),
            bytes=sent,
            client=client[0] if client else None,
        )

    def _is_allowed(self, host: str) -> bool:
        """Whether the service may be reached by a name, or by an address.

        Otherwise any web page could have its own name lead to a service on loopback.
        An address leads nowhere else, and no browser leaves the name out, as the checks
        of load balancers do.
        """
        allowed = ("", *LOCAL_HOSTS, *self._settings.allowed_hosts)
        if "*" in allowed or host in allowed:
            return True
        try:
            ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return False
        return True

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
            log.fault("a request failed")
            if not has_started:
                answer = answers.error(500, "the service met an error of its own")
                await answer(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").rsplit("@")[-1]
        name = host if host.endswith("]") else host.rsplit(":", 1)[0]
        if not self._is_allowed(name.lower()):
            return answers.error(
                400,
                f"the service is not reached by the name {name[:80]!r}; who runs it may"
                " allow that with --allowed_hosts",
            )
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and headers.get(
            "sec-fetch-site", "same-origin"
        ) not in ("same-origin", "none"):
            return answers.error(403, "requests of other web sites are not answered")
        path, root = scope["path"], self._settings.root_path
        if root and path == root:
            # Links of the page are relative to it.
            return RedirectResponse(f"{root}/")
        if self._num_open > self._settings.max_connections and path not in _PROBES:
            return answers.error(
                503, "too many requests at the same time", {"retry-after": "1"}
            )
        if path in _OPEN_PATHS or path.startswith("/static/"):
            return None
        if not is_known(self._settings, headers):
            return answers.error(
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
