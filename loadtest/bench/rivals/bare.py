"""A model behind a bare Starlette app: what is left when everything is left out.

`python -m loadtest.bench.rivals.bare BUNDLE --port N`
"""

from __future__ import annotations

import json

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from loadtest.bench.rivals.options import open_model, parse_options
from loadtest.bench.rivals.plain import Plain


def create_app(model: Plain) -> Starlette:
    """`POST /predict` with `{"asked": …}`: one request, one run of the model, on the thread that reads and writes."""

    async def predict(request: Request) -> Response:
        asked = json.loads(await request.body())["asked"]
        return JSONResponse(model.write(model.run([model.read(asked)])[0]))

    async def ready(_: Request) -> Response:
        return Response()

    return Starlette(routes=[Route("/predict", predict, methods=["POST"]), Route("/readyz", ready)])


if __name__ == "__main__":
    options = parse_options(__doc__)
    uvicorn.run(create_app(open_model(options)), port=options.port, log_level="error", access_log=False)
