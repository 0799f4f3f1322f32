"""The viewer's pages: addresses, what each shows, and the two things that can be written.

A page works without scripts; with them, htmx swaps the part that changes (`list` or `detail`) and the keys work. Everything from a corpus,
a teacher or a model goes through `harmless` before it is escaped.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from codetextbook.benchmarks.alarms import Alarm, Mark
from codetextbook.errors import CodetextbookError, InputError
from codetextbook.nouns import Verdict
from codetextbook.store import Artifact, Store
from codetextbook.view import curves
from codetextbook.view.ask import Address
from codetextbook.view.catalog import Catalog
from codetextbook.view.guard import Guard, is_loopback
from codetextbook.view.harmless import cell, finish, lines
from codetextbook.view.items import Desk
from codetextbook.view.kappa import agreement
from codetextbook.view.library import ROWS_PER_PAGE, Ask, Library, Light
from codetextbook.view.review import NO, YES, Alarms, Ledger
from codetextbook.view.shelves import MATCHES, REVIEW, SHELVES

TOKEN_VARIABLE = "CODETEXTBOOK_VIEW_TOKEN"
"""Environment variable that holds the token, where it is to be the same at each start."""
KEY_CHARACTERS = 12
_ODD = {verdict.value for verdict in Verdict} | {"false alarm"}
ANSWERS = {"1": YES, "0": NO, "": None}
STATIC = {
    "htmx.min.js": "text/javascript",
    "htmx.LICENSE": "text/plain",
    "view.js": "text/javascript",
    "view.css": "text/css",
    "icon.svg": "image/svg+xml",
}
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
"""For a run's own report, which has no script and its style inside."""
GOOD_FROM = 3.0
"""Grade from which the teacher counts as saying yes, where no `curate` says otherwise (the default of `[curate] good_from`)."""
WHY_CHARACTERS = 500


class Viewer:
    """The pages over one workspace."""

    def __init__(self, work: Path, by: str) -> None:
        self.catalog = Catalog(work)
        self.library = Library(self.catalog)
        self.ledger, self.alarms = Ledger(work, by), Alarms(work)
        self.desk = Desk(self.catalog, self.library, self.ledger, self.alarms)
        self.store = Store(self.catalog.root)
        self.templates = Environment(
            loader=PackageLoader("codetextbook.view"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=finish,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.templates.filters |= {
            "cell": cell,
            "shorten": shorten,
            "tint": tint,
            "spoken": lambda text: str(text).replace("_", " "),
        }
        self.templates.globals |= {"shelves": SHELVES, "by": by}

    def app(self, token: str | None) -> Starlette:
        """The application; beyond loopback it needs a token."""

        @asynccontextmanager
        async def life(_: Starlette) -> AsyncIterator[None]:
            yield
            self.keep_review()

        return Starlette(
            routes=[
                Route("/", self.home),
                Route("/metrics", self.metrics),
                Route("/artifacts/{artifact_id}", self.artifact),
                Route("/report", self.report),
                Route("/static/{name}", self.static),
                Route("/review/grade", self.grade, methods=["POST"]),
                Route("/review/keep", self.keep, methods=["POST"]),
                Route("/matches/mark", self.mark, methods=["POST"]),
                Route("/{shelf}", self.shelf),
            ],
            middleware=[Middleware(Guard, token=token)],
            exception_handlers={CodetextbookError: self.explain, 404: self.nothing},
            lifespan=life,
        )

    # Pages

    def home(self, request: Request) -> Response:
        """What the workspace holds."""
        shown = self.catalog.shown()
        steps = {artifact.id: step for step, artifact in self.catalog.steps().items()}
        newest = list(self.catalog.steps().values())
        older = [artifact for artifact in shown.artifacts if artifact.id not in steps]
        return self._page("home", title="Workspace", faults=shown.faults, newest=newest, older=older, steps=steps)

    def shelf(self, request: Request) -> Response:
        """A list, and the row that is open."""
        shelf = SHELVES.get(request.path_params["shelf"])
        if shelf is None:
            return self.nothing(request)
        target = request.headers.get("hx-target", "")
        return self._show(Address(shelf, request.query_params), target if target in ("list", "detail") else "shelf")

    def metrics(self, request: Request) -> Response:
        """Training, live."""
        found = [(training, curves.figures(training)) for training in curves.trainings(self.catalog)]
        part = "live" if request.headers.get("hx-target") == "live" else "metrics"
        return self._page(part, title="Training", trainings=found)

    def artifact(self, request: Request) -> Response:
        """An artifact's manifest."""
        artifact = self.catalog.find(request.path_params["artifact_id"])
        if artifact is None:
            return self.nothing(request)
        text = lines(json.dumps(artifact.manifest, indent=1, sort_keys=True, ensure_ascii=False))
        return self._page("artifact", title=f"{artifact.stage} {artifact.id}", artifact=artifact, text=text)

    def report(self, request: Request) -> Response:
        """The newest report, as it was written."""
        reports = self.catalog.of("report")
        if not reports:
            return self._page(
                "fault", title="Report", error="no report yet: `codetextbook report` makes it", status_code=404
            )
        page = self.catalog.file(reports[0], "report.html").read_text(encoding="utf-8")
        return HTMLResponse(page, headers={"Content-Security-Policy": REPORT_POLICY})

    def static(self, request: Request) -> Response:
        """A file of the viewer's own."""
        name = request.path_params["name"]
        if name not in STATIC:
            return self.nothing(request)
        content = (resources.files("codetextbook.view") / "static" / name).read_bytes()
        return Response(content, media_type=STATIC[name])

    # What can be written

    async def grade(self, request: Request) -> Response:
        """A person's grade of a document."""
        return await run_in_threadpool(self._grade, request, await _form(request))

    async def keep(self, request: Request) -> Response:
        """The grades so far as an artifact."""
        return await run_in_threadpool(self._keep, request)

    async def mark(self, request: Request) -> Response:
        """A match as a false alarm, or no longer as one."""
        return await run_in_threadpool(self._mark, request, await _form(request))

    def _grade(self, request: Request, form: dict[str, str]) -> Response:
        address = Address(REVIEW, request.query_params)
        light, key, answer = self._light(address), address.open or "", form.get("grade", "")
        if self.library.row(light, key) is None:
            raise InputError("no such document", where="review")
        if answer not in ANSWERS:
            raise InputError(f"{answer!r} is no answer", where="review", hint="1, 0, or nothing to take a grade back")
        ordered = self.library.keys(light, self._ask(address))
        self.ledger.grade(key, ANSWERS[answer])
        return self._back(request, self._move_on(light, address, ordered) if answer else address.to())

    def _move_on(self, light: Light, address: Address, ordered: list[str]) -> str:
        """The address of the next document in the list that has no grade yet, or of this one if it was the last."""
        graded = self.ledger.grades()
        at = ordered.index(address.open) if address.open in ordered else -1
        key = next((one for one in ordered[at + 1 :] if one not in graded), address.open)
        now = self.library.keys(light, self._ask(address))
        page = now.index(key) // ROWS_PER_PAGE + 1 if key in now else 1
        return address.to(open=key, page=page if page > 1 else None, **{"from": None})

    def _keep(self, request: Request) -> Response:
        artifact = self._light(Address(REVIEW, request.query_params)).artifact
        assert artifact is not None
        return RedirectResponse(f"/artifacts/{self.ledger.keep(self.store, artifact).id}", status_code=303)

    def _mark(self, request: Request, form: dict[str, str]) -> Response:
        address = Address(MATCHES, request.query_params)
        row = self.library.row(self._light(address), address.open or "")
        if row is None:
            raise InputError("no such match", where="matches")
        alarm = Alarm(*(row[name] for name in Alarm._fields))
        why = form.get("why", "").strip()[:WHY_CHARACTERS]
        if form.get("unmark"):
            self.alarms.unmark(alarm)
        elif why:
            self.alarms.mark(Mark(**alarm._asdict(), by=self.ledger.by, why=why))
        else:
            raise InputError("a mark needs its reason", where="matches", hint="say in a few words why it is no leak")
        return self._back(request, address.to())

    def keep_review(self) -> None:
        """Keep the person's grades, if there are any that are in no artifact yet."""
        judged = self.catalog.of(*REVIEW.stages)
        if judged and self.ledger.grades():
            self.ledger.keep(self.store, judged[0])

    # Faults

    def explain(self, request: Request, error: Exception) -> Response:
        """A fault of the tree, said on a page."""
        return self._page("fault", title="That did not work", error=str(error), status_code=400)

    def nothing(self, request: Request, error: Exception | None = None) -> Response:
        """No such page."""
        return self._page("fault", title="No such page", error="there is nothing at this address", status_code=404)

    # Parts of pages

    def _show(self, address: Address, part: str) -> HTMLResponse:
        """A shelf's page, or the part of it that a script asked for."""
        shelf = address.shelf
        artifacts = self.catalog.of(*shelf.stages)
        artifact = self._chosen(address, artifacts)
        light = self.library.light(shelf, artifact) if artifact or not shelf.stages else None
        context: dict[str, Any] = {"shelf": shelf, "address": address, "artifacts": artifacts, "light": light}
        if light is None:
            return self._page("empty", title=shelf.title, **context)
        if part != "detail":
            found = self.library.rows(light, self._ask(address))
            pages = max(1, -(-found.number // ROWS_PER_PAGE))
            context |= {"found": found, "page": address.ask.page, "pages": pages}
        if part != "list":
            context["item"] = self.desk.lay_out(light, address.open, address.start) if address.open else None
        if shelf is REVIEW:
            context |= self._reviewed(light)
        return self._page(part, title=shelf.title, **context)

    def _ask(self, address: Address) -> Ask:
        """What is asked of the library: what the address says, and in a review, which documents the person has graded."""
        mine = address.query.get("mine")
        if address.shelf is REVIEW and mine in ("done", "open"):
            return replace(address.ask, keys=(mine == "done", frozenset(self.ledger.grades())))
        return address.ask

    def _reviewed(self, light: Light) -> dict[str, Any]:
        """A person's grades and how they agree with the teacher's."""
        mine, cut = self.ledger.grades(), self._cut(light.artifact)
        theirs = self.library.values(light, "grade", mine)
        both = [key for key in mine if key in theirs]
        agreed = agreement([mine[key] == YES for key in both], [theirs[key] >= cut for key in both])
        return {"mine": mine, "cut": cut, "agreed": agreed}

    def _cut(self, artifact: Artifact | None) -> float:
        """Grade from which the teacher says yes."""
        curate = self.catalog.related(artifact, "curate") if artifact else None
        return float(curate.manifest["config"].get("good_from", GOOD_FROM)) if curate else GOOD_FROM

    def _light(self, address: Address) -> Light:
        artifact = self._chosen(address, self.catalog.of(*address.shelf.stages))
        light = self.library.light(address.shelf, artifact) if artifact else None
        if light is None:
            raise InputError("there is no such artifact", where=address.shelf.name)
        return light

    def _chosen(self, address: Address, artifacts: list[Artifact]) -> Artifact | None:
        """The artifact that the address names, else the newest; None if it names one that is not there."""
        wanted = address.query.get("at")
        return next((one for one in artifacts if wanted in (None, one.id)), None)

    def _back(self, request: Request, address: str) -> Response:
        """Where a person is taken after something was written."""
        if not request.headers.get("hx-request"):
            return RedirectResponse(address, status_code=303)
        path, _, query = address.partition("?")
        answer = self._show(Address(SHELVES[path.lstrip("/")], dict(parse_qsl(query))), "shelf")
        answer.headers["HX-Push-Url"] = address
        return answer

    def _page(self, name: str, *, status_code: int = 200, **context: Any) -> HTMLResponse:
        template = self.templates.get_template(f"{name}.html.j2")
        return HTMLResponse(template.render(**context), status_code=status_code)


def serve(work: Path, *, host: str, port: int, by: str, tell: Callable[[str], None]) -> None:
    """Serve a workspace until it is interrupted; `tell` is given the address once the port is taken.

    Raises:
        InputError: there is no store, or the address cannot be used.
    """
    import uvicorn

    if not (work / "store").is_dir():
        raise InputError(
            "there is no workspace here", where=str(work), hint="--work FOLDER, or first: codetextbook run laptop"
        )
    token = None if is_loopback(host) else os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(24)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            listening.listen()
        except OSError as error:
            raise InputError(
                f"cannot listen there ({error.strerror})", where=f"{host}:{port}", hint="--port 0"
            ) from None
        name = f"[{host}]" if ":" in host else host
        tell(f"http://{name}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else ""))
        app = Viewer(work, by).app(token)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False))
        with suppress(KeyboardInterrupt):  # how a person ends it
            server.run(sockets=[listening])


def shorten(value: Any, kind: str) -> str:
    """A value of a list, for its cell."""
    if value is None:
        return ""
    if kind == "count":
        return f"{value:,}"
    if kind == "number" and not isinstance(value, str):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return str(value)[:KEY_CHARACTERS] if kind == "key" else cell(value)


def tint(value: str) -> str:
    """The class of a value's colour."""
    return {"kept": "good", "passed": "good", "rejected": "bad", "failed": "bad", "removed": "bad"}.get(
        value, "warn" if value in _ODD else ""
    )


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; the guard has limited its length."""
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
