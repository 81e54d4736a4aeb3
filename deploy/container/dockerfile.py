"""What a Dockerfile of a Bento says, read so that its steps can be taken without a container engine."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from string import Template

_STEPS = {"RUN", "COPY", "WORKDIR"}
_OF_THE_ENGINE = {"FROM", "EXPOSE", "LABEL"}


class DockerfileError(ValueError):
    """An instruction that is not one of those that a Bento's Dockerfile has had so far."""


@dataclass(frozen=True)
class Step:
    """One instruction that changes the image's files, and what held when it was reached."""

    instruction: str
    argument: str
    variables: dict[str, str]
    folder: str


@dataclass
class Image:
    """What a container is started with, once every step has been taken."""

    steps: list[Step] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0:0"
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)


def read_dockerfile(text: str) -> Image:
    """Read a Dockerfile without BuildKit's extensions, as `bentoml build` writes it into the Bento.

    Raises:
        DockerfileError: it has an instruction, or the form of one, that is not known here.
    """
    image = Image(variables={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
    arguments: dict[str, str] = {}
    entrypoint: list[str] = []
    command: list[str] = []
    for instruction, argument in _instructions(text):
        known = arguments | image.variables
        if instruction in ("ARG", "ENV"):
            for pair in shlex.split(Template(argument).safe_substitute(known)):
                name, _, value = pair.partition("=")
                (arguments if instruction == "ARG" else image.variables)[name] = value
        elif instruction in _STEPS:
            if instruction == "WORKDIR":
                image.folder = Template(argument).safe_substitute(known)
            image.steps.append(Step(instruction, argument, known, image.folder))
        elif instruction == "USER":
            image.user = argument
        elif instruction == "ENTRYPOINT":
            entrypoint = json.loads(argument)
        elif instruction == "CMD":
            command = json.loads(argument)
        elif instruction == "HEALTHCHECK":
            image.health = json.loads(argument.partition("CMD ")[2])
        elif instruction not in _OF_THE_ENGINE:
            raise DockerfileError(f"{instruction} is not known here: {argument}")
    image.command = entrypoint + command
    return image


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = "\n".join(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", "", lines).splitlines():
        instruction, _, argument = line.partition(" ")
        yield instruction.upper(), argument.strip()
