"""Whatever is sent, the reply is one that the service's own description knows, and never a fault of the service.

`make fuzz` sends thousands of cases where this sends some hundreds.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.transport.serialization import Binary

from service.api.app import create_face
from service.api.life import Life
from service.catalogue import load_catalogue
from service.settings import Settings
from tests.contract.pictures import draw, save
from tests.service.replies import POSTED

BUNDLES = Path(__file__).resolve().parents[1] / "data" / "bundles" / "v1"
ANY_STATUS = [status_code_conformance, content_type_conformance, response_schema_conformance]
ANY, WRONG = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
OPERATIONS = [
    *(("POST", path, mode) for path in POSTED for mode in (ANY, WRONG)),
    # These take nothing that could be wrong.
    ("GET", "/v1/models", ANY),
    ("GET", "/v1/models/{name}", ANY),
]
PICTURES = [save(draw(40, 30), form) for form in ("JPEG", "PNG", "WEBP", "GIF")]
CUT = st.builds(lambda file, length: file[:length], st.sampled_from(PICTURES), st.integers(1, 900))
FILES = st.sampled_from(PICTURES) | CUT | st.binary()
# Of every picture that is sent, some are pictures.
schemathesis.openapi.format("byte", FILES.map(lambda file: base64.b64encode(file).decode()))
schemathesis.openapi.format("binary", FILES.map(Binary))
CASES = settings().max_examples if settings.get_current_profile_name() == "fuzz" else 40


@pytest.fixture(scope="module")
def description() -> Iterator[schemathesis.BaseSchema]:
    """The description of the whole service but its server, on real bundles."""
    configured = Settings(bundles=BUNDLES, max_body_bytes=100_000, slots=8)
    catalogue = load_catalogue(configured)
    life = Life()
    life.start(catalogue)
    yield schemathesis.openapi.from_asgi("/v1/openapi.json", create_face(life, configured))
    catalogue.close(drain=False)


@pytest.mark.parametrize(("method", "path", "mode"), OPERATIONS)
def test_every_reply_is_as_described(
    description: schemathesis.BaseSchema, method: str, path: str, mode: GenerationMode
) -> None:
    @given(case=description[path][method].as_strategy(generation_mode=mode))
    @settings(max_examples=CASES, suppress_health_check=list(HealthCheck))
    def check(case: Case) -> None:
        response = case.call()
        # Who asks for less time than the work takes is told so with 504.
        hurried = "X-Request-Timeout" in (case.headers or {}) and response.status_code == 504
        checks = ANY_STATUS if hurried else [*ANY_STATUS, not_a_server_error]
        # A body that is too large is refused before it is read, wrong or not.
        unread = response.status_code == 413
        if not (hurried or unread or _leaves_out(case)):
            checks = [*checks, negative_data_rejection]
        case.validate_response(response, checks=checks)

    check()


def _leaves_out(case: Case) -> bool:
    """Whether a form is not sent as it was made up: an empty list or object is a field that is not there."""
    is_form = case.media_type == "multipart/form-data" and isinstance(case.body, dict)
    return is_form and any(value in ([], {}) for value in case.body.values())
