"""How a body becomes a model, and a reply JSON: in one strict pass each."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from service.api.errors import check_content_type, from_validation
from service.settings import Settings


class StrictRoute(APIRoute):
    """A route whose endpoint takes (body, request) and returns a model or a response.

    The framework describes it; but its own way through an endpoint parses JSON first and validates then, resolves
    dependencies that there are none of, and validates the reply once more: 55 µs where this takes 20.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of one request; a route without a body keeps the framework's."""
        if self.body_field is None:
            return super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await self.answer(await request.body(), request)

        return handle

    async def answer(self, content: bytes, request: Request) -> Response:
        """The reply to a request whose body has been read.

        Raises:
            ProblemError: the body is not what the endpoint takes.
        """
        reply = await self.endpoint(await self.read(content, request), request)
        if isinstance(reply, Response):
            return reply
        return Response(reply.model_dump_json(exclude_none=True), media_type="application/json")

    def longest_body(self, settings: Settings) -> int:
        """Longest body that is taken, in bytes."""
        return settings.max_body_bytes

    async def read(self, content: bytes, request: Request) -> BaseModel:
        """The body as a model.

        Raises:
            ProblemError: it is not what the endpoint takes.
        """
        check_content_type(request.headers.get("content-type", ""))
        try:
            return self.model.model_validate_json(content)
        except ValidationError as error:
            raise from_validation(error) from error

    @cached_property
    def model(self) -> type[BaseModel]:
        """What a body must fit."""
        assert self.body_field is not None
        model = self.body_field.field_info.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        return model


def strict_routes(app: FastAPI) -> dict[str, StrictRoute]:
    """An app's routes that take a body, by their paths, none of which has parameters."""
    routes = [route for route in app.routes if isinstance(route, StrictRoute) and route.body_field is not None]
    return {route.path: route for route in routes}
