"""The server of the explorer: views, pictures and live computations, on loopback only."""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from threading import Lock
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from codeclens.errors import CodeclensError
from codeclens.explorer.jobs import KEPT, Job, Jobs
from codeclens.explorer.live_network import LiveNetwork, Trial, Wish
from codeclens.explorer.run_folder import SHOWN, RunFolder
from codeclens.explorer.run_views import view
from codeclens.explorer.uploads import MOST_BYTES, encoded, read_upload
from codeclens.pages.front_end import SCRIPT, plain_numbers

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; font-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_MOST_JSON = 400_000
_SIDES = (48, 96, 192, 384, 768)
_HOSTS = ("127.0.0.1", "localhost", "[::1]")
PAGE = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark"><title>codeclens</title>'
    '<link rel="icon" href="data:,"></head>'
    '<body><div id="codeclens-explorer"></div>'
    '<script type="module" src="explorer.js"></script></body></html>\n'
)


class Guard:
    """Refuses requests from elsewhere: other hosts, other origins, and without the token.

    The token comes in the address once; then a cookie that scripts cannot read carries it.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        refused = self._refusal(scope, headers)
        port = scope["server"][1] if scope.get("server") else 0
        if refused is not None:
            await refused(scope, receive, send)
            return

        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = [(k.lower().encode(), v.encode()) for k, v in _HEADERS.items()]
                if scope["path"] == "/":
                    cookie = f"{_cookie(port)}={self.token}; HttpOnly; SameSite=Strict; Path=/"
                    extra.append((b"set-cookie", cookie.encode()))
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        await self.app(scope, receive, sent)

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> Response | None:
        host = headers.get("host", "")
        port = scope["server"][1] if scope.get("server") else 0
        if host not in {f"{name}:{port}" for name in _HOSTS}:
            return _error("The explorer answers only to 127.0.0.1.", 403)
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return _error("Another page may not use the explorer.", 403)
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return _error("Another page may not use the explorer.", 403)
        query = parse_qs(scope["query_string"].decode("latin-1"))
        given = [*query.get("token", ()), _from_cookie(headers.get("cookie", ""), _cookie(port))]
        if not any(hmac.compare_digest(one.encode(), self.token.encode()) for one in given):
            return _error("Open the address that codeclens explore printed: it has a token.", 403)
        return None


def _cookie(port: int) -> str:
    # Cookies do not distinguish ports; two explorers must not share one.
    return f"codeclens-{port}"


def _from_cookie(header: str, name: str) -> str:
    for part in header.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return ""


class ExplorerServer:
    """The answers of the explorer for one run, with or without its network."""

    def __init__(self, run: RunFolder, live: LiveNetwork | None = None, reason: str = "") -> None:
        self.run, self.live = run, live
        # Why nothing can be computed, where the network is missing.
        self.reason = reason
        self.jobs = Jobs()
        self.token = secrets.token_urlsafe(24)
        self._uploads: OrderedDict[str, Any] = OrderedDict()
        self._lock = Lock()
        self._thumbnail = lru_cache(maxsize=4096)(self._encoded)
        self._maps = lru_cache(maxsize=256)(self._computed_maps)

    def app(self) -> ASGIApp:
        """The application, guarded."""
        routes = [
            Route("/", self._page),
            Route("/explorer.js", self._script),
            Route("/api/about", self._answer(self._about)),
            Route("/api/view/{address:path}", self._view),
            Route("/api/picture/{row:int}", self._picture),
            Route("/api/maps/{site}/{mode:int}", self._answer(self._maps_of)),
            Route("/api/notes", self._answer(self._note, body=True), methods=["PUT"]),
            Route("/api/upload", self._upload, methods=["POST"]),
            Route("/api/explain", self._answer(self._explain, body=True), methods=["POST"]),
            Route("/api/jobs/{key}", self._answer(self._job)),
            Route("/api/jobs/{key}", self._answer(self._cancel), methods=["DELETE"]),
            Route("/api/switch", self._answer(self._switch, body=True), methods=["POST"]),
        ]
        return Guard(Starlette(routes=routes), self.token)

    async def _page(self, request: Request) -> Response:
        return Response(PAGE, media_type="text/html", headers={"Cache-Control": "no-store"})

    async def _script(self, request: Request) -> Response:
        script = SCRIPT.read_bytes()
        return Response(script, media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    def _answer(
        self, work: Callable[..., dict[str, Any]], *, body: bool = False
    ) -> Callable[[Request], Any]:
        """A handler that computes in a thread and answers with JSON, errors as sentences."""

        async def answer(request: Request) -> Response:
            try:
                given = (await _json(request),) if body else ()
                found = await run_in_threadpool(work, request, *given)
            except CodeclensError as error:
                return _error(str(error), 400)
            except ClientDisconnect:
                return _error("The browser left.", 400)
            return _reply(found)

        return answer

    async def _view(self, request: Request) -> Response:
        # The path as it was sent: a site's name may hold a slash, which is then encoded.
        raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
        address = raw.decode("latin-1").partition("?")[0].removeprefix("/api/view/")
        try:
            return _reply(await run_in_threadpool(view, self.run, address))
        except CodeclensError as error:
            return _error(str(error), 404)

    async def _picture(self, request: Request) -> Response:
        side = request.query_params.get("side", "192")
        wanted = int(side) if side.isascii() and side.isdigit() and len(side) < 6 else 192
        size = next((one for one in _SIDES if one >= wanted), _SIDES[-1])
        try:
            data, kind = await run_in_threadpool(self._thumbnail, request.path_params["row"], size)
        except CodeclensError as error:
            return _error(str(error), 404)
        return Response(
            data, media_type=kind, headers={"Cache-Control": "private, max-age=31536000, immutable"}
        )

    def _encoded(self, row: int, side: int) -> tuple[bytes, str]:
        return encoded(self._network().picture(row), side)

    def _about(self, request: Request) -> dict[str, Any]:
        live = self.live
        return {
            "live": live is not None,
            "reason": self.reason,
            "uploads": live is not None and live.transform is not None,
            "outputs": live.outputs if live is not None else None,
        }

    def _network(self) -> LiveNetwork:
        if self.live is None:
            raise CodeclensError(self.reason or "The network of this run is not loaded.")
        return self.live

    def _maps_of(self, request: Request) -> dict[str, Any]:
        site, mode = request.path_params["site"], request.path_params["mode"]
        self.run.require_mode(site, mode)
        return self._maps(site, mode)

    def _computed_maps(self, site: str, mode: int) -> dict[str, Any]:
        rows = [one.sample for one in self.run.exemplars(site)[mode][: SHOWN // 2]]
        if not rows:
            return {"site": site, "mode": mode, "rows": [], "maps": []}
        return dict(plain_numbers(self._network().maps(site, mode, rows)))

    def _note(self, request: Request, given: Mapping[str, Any]) -> dict[str, Any]:
        site, mode = _text(given, "site"), _number(given, "mode")
        self.run.require_mode(site, mode)
        texts = {key: _text(given, key) for key in ("name", "note") if key in given}
        return self.run.notes.set(site, mode, **texts)

    async def _upload(self, request: Request) -> Response:
        try:
            data = await _body(request, MOST_BYTES)
            key = await run_in_threadpool(self._kept_upload, data)
        except CodeclensError as error:
            return _error(str(error), 400)
        except ClientDisconnect:
            return _error("The browser left.", 400)
        return _reply({"picture": key})

    def _kept_upload(self, data: bytes) -> str:
        x = self._network().prepared(read_upload(data))
        key = secrets.token_urlsafe(12)
        with self._lock:
            self._uploads[key] = x
            while len(self._uploads) > 2 * KEPT:
                self._uploads.popitem(last=False)
        return key

    def _explain(self, request: Request, given: Mapping[str, Any]) -> dict[str, Any]:
        live = self._network()
        if "picture" in given:
            with self._lock:
                x = self._uploads.get(_text(given, "picture"))
            if x is None:
                raise CodeclensError("This picture is no longer kept; drop it again.")
        else:
            x = live.input_of(self.run.require_row(_number(given, "row")))
        sites = given.get("sites") or list(self.run.modes)[-1:]
        if not isinstance(sites, list) or not all(isinstance(site, str) for site in sites):
            raise CodeclensError("The sites are a list of names.")
        for site in sites:
            self.run.modes_of(site)
        grid = given.get("erased")
        if grid is not None and not (
            isinstance(grid, list) and all(isinstance(line, list) for line in grid)
        ):
            raise CodeclensError("The erased region is a list of rows.")
        wish = Wish(_maybe(given, "target"), _maybe(given, "instead_of"), grid)

        def work(job: Job) -> tuple[Trial, dict[str, Any]]:
            trial = live.explain(x, wish, sites, job.tick)
            described = plain_numbers(live.described(trial))
            data, kind = encoded(trial.picture, _SIDES[-2])
            import base64

            described["picture"] = f"data:{kind};base64,{base64.b64encode(data).decode()}"
            return trial, described

        return {"job": self.jobs.start(live.steps(), work)}

    def _job(self, request: Request) -> dict[str, Any]:
        return self.jobs.about(request.path_params["key"])

    def _cancel(self, request: Request) -> dict[str, Any]:
        self.jobs.cancel(request.path_params["key"])
        return {}

    def _switch(self, request: Request, given: Mapping[str, Any]) -> dict[str, Any]:
        trial = self.jobs.job(_text(given, "job")).trial
        if trial is None:
            raise CodeclensError("This explanation is not finished; wait for it.")
        factors = given.get("factors")
        if not isinstance(factors, dict) or len(factors) > 200:
            raise CodeclensError("The factors are an object of numbers by mode.")
        chosen: dict[int, float] = {}
        for mode, factor in factors.items():
            if not (str(mode).isascii() and str(mode).isdigit() and len(str(mode)) < 9):
                raise CodeclensError(f'"{str(mode)[:40]}" is not the number of a mode.')
            if isinstance(factor, bool) or not isinstance(factor, int | float):
                raise CodeclensError("A factor is a number: 0 off, 1 as it is, 2 twice.")
            chosen[int(mode)] = float(factor)
        live = self._network()
        after, before = live.switched(trial, _text(given, "site"), chosen)
        shown = live.leading(before)
        keep = [one["output"] for one in shown]
        found: dict[str, Any] = plain_numbers(
            {
                "before": shown,
                "after": live.leading(after, keep=keep),
                "target_before": float(trial.bound(before)[0]),
                "target_after": float(trial.bound(after)[0]),
            }
        )
        return found


async def _body(request: Request, most: int) -> bytes:
    """The body of a request, read only as far as the limit."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise CodeclensError(f"The request is larger than {most:,} bytes.")
        parts.append(part)
    return b"".join(parts)


async def _json(request: Request) -> dict[str, Any]:
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise CodeclensError("The request must be of type application/json.")
    try:
        given = json.loads(await _body(request, _MOST_JSON))
    except (ValueError, RecursionError) as error:
        raise CodeclensError("The request is not JSON.") from error
    if not isinstance(given, dict):
        raise CodeclensError("The request must be a JSON object.")
    return given


def _text(given: Mapping[str, Any], key: str) -> str:
    value = given.get(key)
    if not isinstance(value, str):
        raise CodeclensError(f'The request needs "{key}", a text.')
    return value


def _number(given: Mapping[str, Any], key: str) -> int:
    value = given.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise CodeclensError(f'The request needs "{key}", a whole number.')
    return value


def _maybe(given: Mapping[str, Any], key: str) -> int | None:
    return None if given.get(key) is None else _number(given, key)


def _reply(found: Any) -> Response:
    text = json.dumps(found, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return Response(
        text.encode("utf-8", "replace"), media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )  # fmt: skip


def _error(sentence: str, status: int) -> Response:
    return JSONResponse({"error": sentence}, status, headers=_HEADERS)


def serve(
    server: ExplorerServer,
    *,
    port: int = 0,
    ready: Callable[[str, Any], None] | None = None,
) -> None:
    """Serve on 127.0.0.1 until interrupted.

    `ready` is called with the address, token included, and with the server, whose `should_exit`
    ends it.

    Port 0 is a free one. Raises CodeclensError where the port is taken.
    """
    import socket

    import uvicorn

    place = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        place.bind(("127.0.0.1", port))
    except OSError as error:
        place.close()
        raise CodeclensError(f"Port {port} is taken; choose another one, or 0.") from error
    address = f"http://127.0.0.1:{place.getsockname()[1]}/?token={server.token}"
    settings = uvicorn.Config(
        server.app(), log_level="error", access_log=False, server_header=False,
        timeout_graceful_shutdown=2, limit_concurrency=512, ws="none", lifespan="off",
    )  # fmt: skip
    worker = uvicorn.Server(settings)

    async def run() -> None:
        serving = asyncio.create_task(worker.serve(sockets=[place]))
        while not worker.started and not serving.done():
            await asyncio.sleep(0.01)
        if ready is not None and worker.started:
            ready(address, worker)
        await serving

    try:
        asyncio.run(run())
    finally:
        server.jobs.close()
        place.close()
