"""Every setting of the service, declared once. Each is an environment variable with the prefix `SEQSERVE_`."""

from __future__ import annotations

import os
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.manifest import Precision
from contract.tasks import TaskName

ENV_PREFIX = "SEQSERVE_"
SHIPPED_BUNDLES = Path(__file__).resolve().parent.parent / "artifacts"
_OF_OTHERS = ("cache", "data")
"""Variables with our prefix that training and export read."""
LONGEST_DEADLINE = 30.0
"""Seconds. Clients, proxies and BentoML's own timeout are set around it."""


def _quota(text: str) -> str:
    from throttled.exceptions import DataError
    from throttled.rate_limiter.quota_parser import parse

    try:
        quotas = parse(text)
    except DataError as error:
        raise ValueError(str(error)) from None
    if len(quotas) != 1:
        raise ValueError(f"{text!r} is {len(quotas)} rates, give one: `100/second burst 200`")
    return text


class Settings(BaseSettings):
    """How a service runs. Read from the environment once, then frozen; lists and mappings are written as JSON.

    Raises:
        pydantic.ValidationError: a value that does not fit, or a variable `SEQSERVE_…` that is none of these.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True
    )

    bundles: Path = SHIPPED_BUNDLES
    """Folder of bundles, `NAME/VERSION/` each."""
    versions: dict[str, str] = {}
    """Pinned versions by name of the bundle; of the others, what `NAME/PINNED` says, else the newest."""
    strict: bool = False
    """Whether a bundle with a fault ends the start; else it is refused, and the others are served."""
    reload_seconds: float = Field(default=5.0, ge=0)
    """Seconds between two looks for versions that came or went while the service runs; 0 never looks."""
    defaults: dict[TaskName, str] = {}
    """The model, by task, of requests that name none; else the first by name."""

    # A container can be reached at no other address.
    host: Annotated[IPv4Address | IPv6Address, BeforeValidator(ip_address)] = IPv4Address("0.0.0.0")  # noqa: S104
    """Address to listen on."""
    port: int = Field(default=3000, ge=1, le=65535)
    """Port to listen on."""
    workers: int = Field(default=1, ge=1)
    """Worker processes; each loads every bundle."""
    provider: Literal["auto", "cpu", "cuda"] = "auto"
    """Where models run; `auto` takes CUDA where a device answers."""
    precision: Precision | None = None
    """Overrides the provider's own choice: int8 on CPU, fp16 on CUDA, else fp32."""
    threads: int | None = Field(default=None, ge=1)
    """Compute threads of a worker; else its share of the cores but one, which is left to HTTP."""
    slots: int | None = Field(default=None, ge=1)
    """Rows that a model decodes at once; else the runtime's own figure."""
    max_queue: int = Field(default=4096, ge=1)
    """Rows (sentences, texts, sessions, pictures) that may wait, a model; past it, requests get 429."""

    max_body_bytes: int = Field(default=1 << 20, ge=1)
    """Longest body; where pictures may be sent, `max_upload_bytes`."""
    max_upload_bytes: int = Field(default=32 << 20, ge=1)
    """Longest body that holds pictures."""
    max_held_bytes: int = Field(default=128 << 20, ge=1)
    """Bytes of such bodies that a worker holds at once, over all requests; past it, requests get 429."""
    max_image_bytes: int = Field(default=10 << 20, ge=1)
    """Longest picture file."""
    max_images: int = Field(default=16, ge=1)
    """Most pictures in a request."""
    max_items: int = Field(default=1000, ge=1)
    """Most texts, sessions or prompts in a request."""
    max_explained_items: int = Field(default=32, ge=1)
    """Most of them in a request that asks for attention maps."""
    max_sentences: int = Field(default=2048, ge=1)
    """Most sentences in a request, over all its texts; at most `max_queue`."""
    max_characters: int = Field(default=20_000, ge=1)
    """Longest text."""
    max_beam_size: int = Field(default=16, ge=1)
    """Widest beam."""
    max_explain_tokens: int = Field(default=512, ge=1)
    """Longest text, in tokens, that is replied with an attention map."""
    deadline: float = Field(default=LONGEST_DEADLINE, gt=0, le=LONGEST_DEADLINE)
    """Seconds a request may take; a request may ask for less."""
    head_timeout: float = Field(default=10.0, gt=0)
    """Seconds that a client may take to send the head of a request."""
    body_timeout: float = Field(default=10.0, gt=0, le=LONGEST_DEADLINE)
    """Seconds of these that a client may take to send its body."""
    shutdown_grace: float = Field(default=25.0, gt=0)
    """Seconds that accepted requests may take after SIGTERM."""

    key_file: Path | None = None
    """File of API keys, each a line that `python -m service key NAME` printed; without one, no key is asked for."""
    rate_limit: Annotated[str, AfterValidator(_quota)] | None = None
    """Requests a worker takes of a key (without keys: of an address), such as `100/second burst 200`."""
    admin_port: int | None = Field(default=None, ge=1, le=65535)
    """Port that `/metrics` is served on, and then on no other; else it is where all the rest is."""
    log_format: Literal["text", "json"] = "text"
    """Log lines as `text` for people or as `json` for machines."""
    access_log: bool = False
    """Whether each request writes a line to the log."""
    trace_endpoint: HttpUrl | None = None
    """Where spans are sent by OTLP over HTTP, such as `http://localhost:4318/v1/traces`; else nothing is traced."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call from a browser, or `*`; none by default."""
    docs: bool = True
    """Whether to serve `/v1/docs` and `/v1/openapi.json`."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max_sentences > self.max_queue:
            raise ValueError(f"max_sentences {self.max_sentences} would never fit into max_queue {self.max_queue}")
        if self.admin_port == self.port:
            raise ValueError(f"admin_port {self.admin_port} is the port of all else")
        if self.max_upload_bytes > self.max_held_bytes:
            raise ValueError(f"max_upload_bytes {self.max_upload_bytes} is more than max_held_bytes, which all share")
        return self

    @model_validator(mode="after")
    def _no_unknown_variables(self) -> Self:
        known = {f"{ENV_PREFIX}{name}".upper() for name in (*type(self).model_fields, *_OF_OTHERS)}
        given = {name for name in os.environ if name.upper().startswith(ENV_PREFIX)}
        if unknown := sorted(name for name in given if name.upper() not in known):
            raise ValueError(f"unknown settings {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        return self

    @property
    def compute_threads(self) -> int:
        """Threads of a worker's compute pool: with a core left to HTTP, requests are read while a step runs."""
        return self.threads or max(1, available_cores() // self.workers - 1)


def available_cores() -> int:
    """Cores this process may use: its affinity, or the container's CPU quota where that is less."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.is_file():
        allowed, _, period = quota.read_text(encoding="ascii").strip().partition(" ")
        if allowed != "max":
            cores = min(cores, max(1, round(int(allowed) / int(period))))
    return cores


def available_memory() -> int:
    """Bytes of memory this process may use: the container's limit, or the machine's memory where that is less."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (allowed := limit.read_text(encoding="ascii").strip()) != "max":
        memory = min(memory, int(allowed))
    return memory
