"""A Dockerfile read without an engine."""

from __future__ import annotations

import pytest

from deploy.container.dockerfile import DockerfileError, read_dockerfile

DOCKERFILE = """
FROM debian AS base
ARG HOUSE=/home/it
ENV HOUSE_PATH=$HOUSE KIND="a b"
RUN mkdir $HOUSE && \\
    touch $HOUSE/x
# RUN false
WORKDIR $HOUSE_PATH
COPY --chown=it:it ./a ./a
ENV PATH="/opt/bin:$PATH"
ENTRYPOINT ["enter"]
USER it
USER 7:7
HEALTHCHECK --interval=1s CMD ["probe"]
CMD ["serve", "--all"]
"""


def test_each_step_has_what_held_when_it_was_reached() -> None:
    image = read_dockerfile(DOCKERFILE)
    assert [(step.instruction, step.argument, step.folder) for step in image.steps] == [
        ("RUN", "mkdir $HOUSE && touch $HOUSE/x", "/"),
        ("WORKDIR", "$HOUSE_PATH", "/home/it"),
        ("COPY", "--chown=it:it ./a ./a", "/home/it"),
    ]
    first = image.steps[0].variables
    assert (first["HOUSE"], first["HOUSE_PATH"], first["KIND"]) == ("/home/it", "/home/it", "a b")
    assert not first["PATH"].startswith("/opt")
    # Arguments are of the build alone.
    assert "HOUSE" not in image.variables
    assert image.variables["PATH"] == f"/opt/bin:{first['PATH']}"
    assert (image.folder, image.user) == ("/home/it", "7:7")
    assert (image.command, image.health) == (["enter", "serve", "--all"], ["probe"])


def test_what_is_not_known_is_not_passed_over() -> None:
    with pytest.raises(DockerfileError, match="ONBUILD is not known here: RUN true"):
        read_dockerfile("FROM debian\nONBUILD RUN true\n")
