"""Whether the service is ready, for the platform: `GET /readyz`."""

from __future__ import annotations

import json

from starlette.responses import Response

from service.api.life import Life


def readiness(life: Life) -> Response:
    """200 while requests are taken, else 503.

    It is `degraded`, and ready, while a bundle is refused: what is served is served well, and to take every replica
    from its clients for the sake of one model would make a fault of all.
    """
    refused = life.catalogue.refused if life.ready else ()
    told: dict[str, object] = {"status": "degraded" if refused else life.stage.value}
    if refused:
        told["refused"] = [{"name": bundle.name, "version": bundle.version} for bundle in refused]
    headers = {"cache-control": "no-store"}
    return Response(json.dumps(told), 200 if life.ready else 503, headers, media_type="application/json")
