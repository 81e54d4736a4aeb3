"""The API's own description. The page's scripts come with BentoML, so it works without a way to the internet."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
from pathlib import Path
from typing import Any

import bentoml
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from service.api.errors import MEDIA_TYPE, Problem
from service.api.forms import MEDIA_TYPE as FORM
from service.api.gate import DOCS_URL, OPENAPI_URL, SHORTEST_DEADLINE
from service.api.schemas.picture import FIELD
from service.settings import Settings

_ASSETS = Path(bentoml.__file__).parent / "_internal" / "server" / "static_content"
_ASSETS_URL = f"{DOCS_URL}/assets"
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "an API key"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "an API key"},
}
"""Either way to send one."""
_ITEMS = ("text", "session", "prompt", "question")
"""Fields of requests that hold an item or a list of them, beside pictures."""


def request_headers() -> dict[str, Any]:
    """The headers that every task's route takes, as an addition to its description."""
    timeout = {"type": "number", "exclusiveMinimum": 0, "examples": [2.5]}
    identity = {"type": "string", "examples": ["order-7"]}
    return {
        "parameters": [
            _header(
                "X-Request-Timeout",
                timeout,
                f"seconds until the request is dropped, at least {SHORTEST_DEADLINE:g}; shortens the service's own",
            ),
            _header(
                "X-Request-ID",
                identity,
                "an id for logs and the reply, of up to 128 letters, digits, or . : _ -; else one is made",
            ),
        ]
    }


def problem_replies() -> dict[int | str, dict[str, Any]]:
    """The replies that every route can give beside its own."""
    return {
        "4XX": {"model": Problem, "description": "what is wrong with the request"},
        "5XX": {"model": Problem, "description": "what is wrong with the service, or that it is out of time"},
    }


def add_docs(app: FastAPI, settings: Settings) -> None:
    """Serve `/v1/openapi.json` and `/v1/docs`, and lead `/` there."""
    app.mount(_ASSETS_URL, StaticFiles(directory=_ASSETS), name="assets")
    page = get_swagger_ui_html(
        openapi_url=OPENAPI_URL,
        title=app.title,
        swagger_js_url=f"{_ASSETS_URL}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS_URL}/swagger-ui.css",
        swagger_favicon_url=f"{_ASSETS_URL}/favicon-light-32x32.png",
    )
    page.headers.update(_page_headers(bytes(page.body).decode()))

    @app.get(OPENAPI_URL, include_in_schema=False, tags=["docs"])
    async def openapi() -> JSONResponse:
        return JSONResponse(_describe(app, settings))

    @app.get(DOCS_URL, include_in_schema=False, tags=["docs"])
    async def docs() -> HTMLResponse:
        return page

    @app.get("/", include_in_schema=False, tags=["docs"])
    async def root() -> RedirectResponse:
        return RedirectResponse(DOCS_URL)


def _page_headers(page: str) -> dict[str, str]:
    """What a browser may do with the page: run its own scripts, the one in it among them, and ask this service."""
    scripts = [hashlib.sha256(script.encode()).digest() for script in _SCRIPT.findall(page)]
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in scripts)
    policy = (
        f"default-src 'none'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "content-security-policy": policy,
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


def _header(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"in": "header", "name": name, "required": False, "schema": schema, "description": description}


def _describe(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """The description; problem documents get the media type that they are sent with, which the framework cannot say."""
    description = copy.deepcopy(app.openapi())
    if settings.key_file is not None:
        description["components"]["securitySchemes"] = _KEYS
        description["security"] = [{name: []} for name in _KEYS]
    schemas = description["components"]["schemas"]
    for name, schema in schemas.items():
        if name.endswith("Request"):
            _bound(schema["properties"], settings)
    for path in description["paths"].values():
        for operation in path.values():
            for status in ("4XX", "5XX"):
                content = operation["responses"][status]["content"]
                content[MEDIA_TYPE] = content.pop("application/json")
            if "requestBody" in operation:
                bodies = operation["requestBody"]["content"]
                schema = schemas[bodies["application/json"]["schema"]["$ref"].rpartition("/")[2]]
                if FIELD in schema["properties"]:
                    bodies[FORM] = {"schema": _form(schema)}
    return description


def _bound(fields: dict[str, Any], settings: Settings) -> None:
    """Add the bounds that are settings; those of a model are at `/v1/models`."""
    pictures = FIELD in fields
    items = next(fields[name] for name in (FIELD, *_ITEMS) if name in fields)
    for either in items.get("anyOf", [items]):
        if "minItems" in either:
            either["maxItems"] = settings.max_images if pictures else settings.max_items
        item = either.get("items", either)
        if item.get("type") == "string" and not pictures:
            item["maxLength"] = settings.max_characters
    if "beam_size" in fields:
        number, _null = fields["beam_size"]["anyOf"]
        number["maximum"] = settings.max_beam_size
    if "alternatives" in fields:
        fields["alternatives"]["maximum"] = settings.max_beam_size - 1


def _form(schema: dict[str, Any]) -> dict[str, Any]:
    """A body with pictures as a form: the pictures are files, and nothing is null, since a field can be left out."""
    properties = {name: _present(field) for name, field in schema["properties"].items()}
    pictures = properties[FIELD]
    file = {"type": "string", "format": "binary"}
    lists = [each for each in pictures.get("anyOf", []) if each["type"] == "array"]
    told = {"description": pictures["description"]}
    properties[FIELD] = {**told, **({**lists[0], "items": file} if lists else file)}
    return {"type": "object", "properties": properties, "required": [FIELD], "additionalProperties": False}


def _present(field: dict[str, Any]) -> dict[str, Any]:
    """A field's schema without null."""
    kinds = [kind for kind in field.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return field
    return {**{name: value for name, value in field.items() if name not in ("anyOf", "default")}, **kinds[0]}
