"""The server of the label page: JSON over HTTP between browsers and the queues of runs.

    GET  /, /quality and their scripts   the pages, which hold nothing secret
    POST /api/enter    {token}                     sets a cookie; only where there is a token
    POST /api/next     {annotator, count}          {showings, runs}
    POST /api/answer   {annotator, run, showing, id, answer, seconds}    {used, better}
    GET  /api/film/RUN/DIGEST                      a film
    GET  /api/quality                              tables about people and pairs

An answer is acknowledged after it is on disk. Those of many requests share one transaction. One
that the queue refuses gets a 409, any other wrong input a 4xx, both as {"error": one line}; 503 is
for a disk or database that fails, after which a browser tries again. Only requests of our own page
are served: a page elsewhere that somebody visits must not answer in their name.
"""

import asyncio
import hmac
import ipaddress
import json
import socket
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.resources import files
from multiprocessing import get_context
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request, cookie_parser
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from active_rlhf.errors import line
from active_rlhf.labelling.desk import Given, Recorded
from active_rlhf.labelling.queue import QueueError, Refused
from active_rlhf.labelling.runs import Run, Runs

MOST_BYTES = 4096  # of a request's body
MOST_SECONDS = 10.0  # in which it has to come
AHEAD = 16  # showings a browser may hold
COOKIE = "active_rlhf_token"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PAGES = {
    "/": ("labelling/page/label.html", "text/html"),
    "/quality": ("labelling/page/quality.html", "text/html"),
    "/label.js": ("labelling/page/label.js", "text/javascript"),
    "/outbox.js": ("labelling/page/outbox.js", "text/javascript"),
    "/keys.js": ("labelling/page/keys.js", "text/javascript"),
    "/server.js": ("labelling/page/server.js", "text/javascript"),
    "/quality.js": ("labelling/page/quality.js", "text/javascript"),
    "/label.css": ("labelling/page/label.css", "text/css"),
    "/icon.svg": ("labelling/page/icon.svg", "image/svg+xml"),
    "/player.js": ("films/player/player.js", "text/javascript"),
    "/player.css": ("films/player/player.css", "text/css"),
}

Name = Annotated[str, Field(pattern=r"^\w[\w .'@-]{0,39}$")]
Hexadecimal = Annotated[str, Field(pattern=r"^[0-9a-f]{16,64}$")]


class Sent(BaseModel):
    """What a browser sends, exactly."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Token(Sent):
    token: Annotated[str, Field(max_length=200)]


class Wish(Sent):
    annotator: Name
    count: Annotated[int, Field(ge=1, le=AHEAD)]


class Answer(Sent):
    annotator: Name
    run: Hexadecimal
    showing: Hexadecimal
    id: Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]
    answer: Literal["left", "right", "equal", "skipped", "withdrawn"]
    seconds: Annotated[float, Field(ge=0, le=86400)] | None = None


S = TypeVar("S", bound=Sent)


def application(runs: Runs, token: str | None = None, hosts: tuple[str, ...] = ()) -> ASGIApp:
    """The server's application.

    token: without it, nothing but the pages is served. hosts: names of this machine by which it may
    be called, besides localhost and addresses.
    """
    groups: dict[str, Group] = {}
    measuring = asyncio.Lock()

    async def enter(request: Request) -> Response:
        given = await sent(request, Token)
        if token is None or not same(given.token, token):
            raise HTTPException(403, "this is not the token that the server printed")
        response = JSONResponse({})
        response.set_cookie(COOKIE, token, httponly=True, samesite="strict")
        return response

    async def following(request: Request) -> Response:
        wish = await sent(request, Wish)

        def find() -> dict[str, Any]:
            showings = [
                {
                    "id": showing.id,
                    "run": run.key,
                    "practice": showing.purpose == "practice",
                    "films": [showing.left, showing.right],
                }
                for run, showing in runs.next(wish.annotator, wish.count)
            ]
            states = [{**run.state(), "oldest": None} for run in runs.all()]
            return {"showings": showings, "runs": states}

        return JSONResponse(await run_in_threadpool(find))

    async def answer(request: Request) -> Response:
        answer = await sent(request, Answer)
        run = await run_in_threadpool(runs.get, answer.run)
        if run is None:
            raise HTTPException(404, "no such run is served here")
        group = groups.setdefault(run.key, Group(run))
        given = Given(answer.id, answer.showing, answer.answer, answer.seconds)
        recorded = await group.commit(answer.annotator, given)
        return JSONResponse({"used": recorded.used, "better": recorded.better})

    async def film(request: Request) -> Response:
        def find() -> bytes | None:
            run = runs.get(request.path_params["run"])
            return run.desk.film(request.path_params["digest"]) if run else None

        content = await run_in_threadpool(find)
        if content is None:
            raise HTTPException(404, "no such film")
        kept = {"Cache-Control": "private, max-age=86400, immutable"}
        return Response(content, media_type="application/json", headers=kept)

    async def quality(request: Request) -> Response:
        async with measuring:
            folders = [run.folder for run in await run_in_threadpool(runs.all)]
            return JSONResponse(await run_in_threadpool(_measured, folders))

    routes = [
        *(Route(path, _page(*page)) for path, page in PAGES.items()),
        Route("/api/enter", enter, methods=["POST"]),
        Route("/api/next", following, methods=["POST"]),
        Route("/api/answer", answer, methods=["POST"]),
        Route("/api/film/{run}/{digest}", film),
        Route("/api/quality", quality),
    ]
    handlers: dict[Any, Any] = {
        HTTPException: lambda _, error: _error(error.status_code, error.detail, error.headers),
        Refused: lambda _, error: _error(409, line(error)),
        QueueError: lambda _, error: _error(503, line(error)),
        OSError: lambda _, error: _error(503, line(error)),
        sqlite3.Error: lambda _, error: _error(503, line(error)),
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers), token, hosts)


class Group:
    """Answers to one run, those of many requests in one transaction."""

    def __init__(self, run: Run):
        self._run = run
        self._pending: list[tuple[str, Given, asyncio.Future[Recorded]]] = []
        self._working: asyncio.Task[None] | None = None

    async def commit(self, annotator: str, given: Given) -> Recorded:
        """What became of an answer, once it is on disk. Raises Refused."""
        future: asyncio.Future[Recorded] = asyncio.get_running_loop().create_future()
        self._pending.append((annotator, given, future))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        while self._pending:
            batch, self._pending = self._pending, []
            given = [(annotator, one) for annotator, one, _ in batch]
            try:
                said: list[Any] = list(await run_in_threadpool(self._run.record_all, given))
            except Exception as error:  # of the whole transaction; whoever sent it tries again
                said = [error] * len(batch)
            for (_, _, future), one in zip(batch, said, strict=True):
                if isinstance(one, Exception):
                    future.set_exception(one)
                else:
                    future.set_result(one)


class Guard:
    """Lets only requests of our own page through, and says on every response what it may do."""

    def __init__(self, app: ASGIApp, token: str | None, hosts: tuple[str, ...]):
        self.app, self.token, self.hosts = app, token, {"localhost", *hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-store")
                headers.update(HEADERS)
            await send(message)

        if scope["type"] != "http":  # lifespan; there are no websockets
            await self.app(scope, receive, send)
        elif refused := self._refused(scope):
            await refused(scope, receive, guarded)
        else:
            await self.app(scope, receive, guarded)

    def _refused(self, scope: Scope) -> Response | None:
        headers, writes = Headers(scope=scope), scope["method"] not in ("GET", "HEAD")
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_us(host):
            return _error(421, "this server is not known by this name; use its address")
        if not scope["path"].startswith("/api/"):
            return None
        elsewhere = headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
        if elsewhere or (origin is None and writes) or (origin and _netloc(origin) != host):
            return _error(403, "only the label page itself may ask for this")
        if writes and headers.get("content-type", "").partition(";")[0] != "application/json":
            return _error(415, "the content must be application/json")
        if self.token and scope["path"] != "/api/enter":
            cookies = cookie_parser(headers.get("cookie", ""))
            bearer = headers.get("authorization", "").removeprefix("Bearer ")
            if not same(cookies.get(COOKIE, ""), self.token) and not same(bearer, self.token):
                return _error(401, "open the page by the address that the server printed")
        return None

    def _is_us(self, host: str) -> bool:
        """Whether this is a name of ours; another one that leads here may be DNS rebinding."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self.hosts or _is_address(name)


def same(given: str, secret: str) -> bool:
    """Compared in a time that says nothing of where they differ."""
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())


async def sent(request: Request, kind: type[S]) -> S:
    """The body as what it should be; raises HTTPException."""
    body = b""

    async def read() -> None:
        nonlocal body
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                raise HTTPException(413, f"the content is longer than {MOST_BYTES} bytes")

    try:
        await asyncio.wait_for(read(), MOST_SECONDS)
        return kind.model_validate_json(body)
    except TimeoutError:
        raise HTTPException(408, "the content did not come in time") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        said = f"{where}: {first['msg']}" if where else first["msg"]
        raise HTTPException(422, " ".join(said.split())[:300]) from None


def _page(file: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    content = files("active_rlhf").joinpath(file).read_bytes()

    async def page(_: Request) -> Response:
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    return page


def _error(status: int, said: str, headers: Any = None) -> Response:
    return JSONResponse({"error": said}, status, headers)


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _measured(folders: list[Any]) -> Any:
    """Tables about people and pairs, from a process of its own, as pandas takes much memory."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return json.loads(process.submit(_report, folders).result())


def _report(folders: list[Any]) -> str:
    from active_rlhf.labelling.quality import report

    tables = {name: json.loads(t.to_json(orient="split")) for name, t in report(folders).items()}
    return json.dumps(tables)


def own_names() -> tuple[str, ...]:
    """Names of this machine."""
    return socket.gethostname().lower(), socket.getfqdn().lower()
