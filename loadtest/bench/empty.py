"""A BentoML service that does nothing: what every service on it costs."""

from __future__ import annotations

import bentoml


@bentoml.service
class Empty:
    """No endpoints, and all settings left alone."""
