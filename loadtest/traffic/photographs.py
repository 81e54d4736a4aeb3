"""Photographs that are described."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping

from loadtest.pictures import multipart
from loadtest.traffic.asker import Asker
from loadtest.traffic.question import Check, Question, expect
from loadtest.traffic.texts import wrong_text

_LIST = 3
_GREEDY = {"beam_size": 1}


class Photographer(Asker):
    """Has photographs described, by a form or in JSON."""

    def kinds(self) -> Mapping[Callable[[], Question], int]:
        return {self._upload: 6, self._send: 3, self._several: 1}

    def _upload(self) -> Question:
        """One photograph with the model's default search, uploaded by a form."""
        return self._form(1)

    def _several(self) -> Question:
        """Several photographs in one form."""
        return self._form(_LIST)

    def _send(self) -> Question:
        """One photograph with greedy search, in JSON."""
        picture = self.random.choice(self.material.pictures)
        body = {"image": base64.b64encode(picture).decode(), **_GREEDY}
        return Question(
            "caption", "/v1/caption", json.dumps(body).encode(), expect("captions", [self._check(picture, *_GREEDY)])
        )

    def _form(self, count: int) -> Question:
        pictures = self.random.choices(self.material.pictures, k=count)
        content_type, body = multipart("image", pictures)
        wrong = [self._check(picture) for picture in pictures]
        return Question("caption", "/v1/caption", body, expect("captions", wrong), content_type)

    def _check(self, picture: bytes, *options: str) -> Check:
        key = "caption", hash(picture), options
        return lambda found: wrong_text(found) or self.memory.differs(key, found["text"], found["score"])
