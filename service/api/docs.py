"""The API's own description. The page's scripts come with BentoML, so it works without a way to the internet."""

from __future__ import annotations

from pathlib import Path

import bentoml
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

_ASSETS = Path(bentoml.__file__).parent / "_internal" / "server" / "static_content"
_ASSETS_URL = "/v1/docs/assets"


def add_docs(app: FastAPI, openapi_url: str) -> None:
    """Serve `/v1/docs`, and lead `/` there."""
    app.mount(_ASSETS_URL, StaticFiles(directory=_ASSETS), name="assets")

    @app.get("/v1/docs", include_in_schema=False, tags=["docs"])
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=openapi_url,
            title=app.title,
            swagger_js_url=f"{_ASSETS_URL}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS_URL}/swagger-ui.css",
            swagger_favicon_url=f"{_ASSETS_URL}/favicon-light-32x32.png",
        )

    @app.get("/", include_in_schema=False, tags=["docs"])
    async def root() -> RedirectResponse:
        return RedirectResponse("/v1/docs")
