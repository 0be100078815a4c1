"""Files: upload, a preview of their columns and rows, and the enriched file back; how far jobs are."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import UploadFile

from celery_recommender.records.input.formats import choose_format
from celery_recommender.web.jobs import enriching
from celery_recommender.web.jobs.runner import Runner
from celery_recommender.web.jobs.store import Job, JobStore
from celery_recommender.web.pages.parts import page
from celery_recommender.web.security.access import ANSWERS, UPLOADS, AskedCollection, Who
from celery_recommender.web.security.visitors import Refused, Visitor
from celery_recommender.web.shown.rendering import link
from recommender_engine.errors import ConfigurationError

router = APIRouter()

JobId = Annotated[str, Query(alias="id", pattern="^[0-9a-f]{32}$")]
PostedJobId = Annotated[str, Form(alias="id", pattern="^[0-9a-f]{32}$")]
ColumnName = Annotated[str, Form(max_length=1000)]
ColumnNames = Annotated[list[ColumnName] | None, Form(max_length=200)]


class _Uploaded(NamedTuple):
    collection: str
    name: str
    content: bytes


def store_of(request: Request) -> JobStore:
    """The jobs."""
    store: JobStore = request.app.state.jobs
    return store


AtStore = Annotated[JobStore, Depends(store_of)]


def wake(request: Request) -> None:
    """Have the thread of this process look for jobs."""
    runner: Runner = request.app.state.runner
    runner.wake()


async def _uploaded(request: Request) -> _Uploaded:
    form: Any = await request.form()
    file, collection = form.get("file"), form.get("collection", "")
    if not isinstance(file, UploadFile) or not isinstance(collection, str):
        return _Uploaded("", "", b"")
    return _Uploaded(collection.strip()[:256], enriching.file_name(file.filename or ""), await file.read())


@router.get("/files")
def files(request: Request, visitor: Who, collection: AskedCollection, store: AtStore) -> HTMLResponse:
    """The form that uploads one, and the files there are."""
    seen = [job for job in store.all()[::-1] if job.kind == enriching.KIND and visitor.sees(job.collection)]
    return page(request, "files.html", collection=collection, jobs=seen, most=store.most_file_bytes)


@router.post("/files", dependencies=UPLOADS)
def upload(request: Request, visitor: Who, given: Annotated[_Uploaded, Depends(_uploaded)], store: AtStore) -> Response:
    """Keep a file, and show what it holds."""
    if not given.content or not given.collection:
        return page(request, "told.html", 422, code="no_file", detail="")
    if not visitor.sees(given.collection):
        raise Refused("refused_collection")
    try:
        choose_format(given.name)
    except ConfigurationError as error:
        return page(request, "told.html", 422, code="file_unreadable", detail=str(error))
    job = store.add(enriching.KIND, given.collection, visitor.name, "draft", {"name": given.name, "columns": {}})
    try:
        store.keep(job.id, "given", given.content)
    except BaseException:
        store.remove(job.id)
        raise
    return RedirectResponse(link("/file", id=job.id), 303)


@router.get("/file")
def file(request: Request, visitor: Who, id_: JobId, store: AtStore) -> HTMLResponse:
    """What a file holds, or how far its job is."""
    job = _job(store, visitor, id_)
    if job is None:
        return page(request, "told.html", 404, code="no_file", detail="")
    if job.state != "draft":
        return page(request, "file.html", collection=job.collection, job=job)
    draft, error = _draft(request, store, job)
    status = 200 if draft is not None else 422
    return page(request, "draft.html", status, collection=job.collection, job=job, draft=draft, error=error)


@router.post("/file/columns", dependencies=ANSWERS)
def columns(
    request: Request,
    visitor: Who,
    id_: PostedJobId,
    store: AtStore,
    id_field: ColumnName = "",
    time_field: ColumnName = "",
    texts: ColumnNames = None,
    attributes: ColumnNames = None,
    start: Annotated[bool, Form()] = False,
) -> Response:
    """Take the columns that were chosen; with ``start`` also begin."""
    job = _job(store, visitor, id_)
    if job is None or job.state != "draft":
        return page(request, "told.html", 404, code="no_file", detail="")
    chosen = {"id": id_field, "time": time_field, "texts": texts or [], "attributes": attributes or []}
    job = replace(job, options={**job.options, "columns": chosen})
    draft, error = _draft(request, store, job)
    if draft is None or not start:
        store.put(job)
        status = 200 if draft is not None else 422
        template = "draft_part.html" if "hx-request" in request.headers else "draft.html"
        return page(request, template, status, collection=job.collection, job=job, draft=draft, error=error)
    if draft.rows > enriching.MOST_ROWS:
        return page(request, "told.html", 422, code="too_many_rows", detail=f"{enriching.MOST_ROWS:,}")
    store.put(replace(job, state="waiting", options={**job.options, "rows": draft.rows}))
    wake(request)
    return RedirectResponse(link("/file", id=job.id), 303)


@router.get("/file/result")
def result(request: Request, visitor: Who, id_: JobId, store: AtStore) -> Response:
    """The enriched file."""
    job = _job(store, visitor, id_)
    content = None if job is None else store.file(job.id, "made")
    if job is None or content is None:
        return page(request, "told.html", 404, code="no_file", detail="")
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(job.result['name'])}"}
    return Response(content, media_type="application/octet-stream", headers=headers)


@router.post("/file/delete", dependencies=ANSWERS)
def delete(request: Request, visitor: Who, id_: PostedJobId, store: AtStore) -> Response:
    """Forget a file and its job; items that were sent stay."""
    job = _job(store, visitor, id_)
    if job is not None:
        store.remove(job.id)
    return RedirectResponse(link("/files", collection=job.collection if job else None), 303)


@router.get("/job")
def job_part(request: Request, visitor: Who, id_: JobId, store: AtStore) -> HTMLResponse:
    """How far a job is; asks again by itself until it has ended."""
    job = _job(store, visitor, id_)
    if job is None:
        return page(request, "told_part.html", 404, code="no_file", detail="")
    return page(request, "job.html", collection=job.collection, job=job)


def _job(store: JobStore, visitor: Visitor, id_: str) -> Job | None:
    job = store.get(id_)
    if job is not None and not visitor.sees(job.collection):
        raise Refused("refused_collection")
    return job


def _draft(request: Request, store: JobStore, job: Job) -> tuple[enriching.Draft | None, str]:
    """What a file holds, or why it cannot be read."""
    content = store.file(job.id, "given")
    if content is None:
        return None, ""
    try:
        rules = request.app.state.service.settings.message_rules
        return enriching.draft_of(content, job.options["name"], job.options["columns"], job.collection, rules), ""
    except ConfigurationError as error:
        return None, str(error)
