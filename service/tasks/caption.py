"""Captioning: picture → pixels → the engine's request → captions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from contract.images import View
from contract.inputs import Row, image_row
from service.runtime.requests import GenerateRequest, Generation, Hypothesis, Search
from service.tasks.regions import Grid, RegionMap, region_map
from service.tasks.seeing import look
from service.tasks.writing import SearchOptions, Writer

Options = SearchOptions


@dataclass(frozen=True)
class Rendering:
    """One caption. `attention` is there when asked for."""

    text: str
    score: float
    attention: RegionMap | None = None


@dataclass(frozen=True)
class Caption:
    """The best caption of a picture, the further ones, and what of the picture they speak of.

    `unfinished`: the best one reached its length limit.
    """

    best: Rendering
    alternatives: list[Rendering]
    view: View
    unfinished: bool


class Captioner(Writer):
    """What stands before and after the model of one bundle."""

    @property
    def grid(self) -> Grid:
        """Rows and columns of the regions that the model sees."""
        return self._manifest.image.grid

    def read(self, content: bytes, options: Options, field: str) -> Picture:
        """A picture file as the work that it is, decoded and resized for the model. `field` names it in errors.

        Raises:
            PictureError, PictureTooLongError: as for `look`.
            NoAttentionError, BeamLimitError, BadOptionError: as for `search`.
        """
        search = self.search(options)
        preprocessing = self._manifest.image
        pixels, view = look(content, preprocessing.size, preprocessing.fit, self._limits, field)
        asked = replace(search, max_length=options.max_length or search.max_length)
        return Picture(self, image_row(pixels), view, asked, options.explain)

    def write(self, generation: Generation, view: View) -> Caption:
        """The captions of one picture."""
        best, *others = [Rendering(self.text(each), each.score) for each in generation.hypotheses]
        return Caption(best, others, view, unfinished=not generation.hypotheses[0].finished)

    def explain(self, caption: Caption, hypotheses: list[Hypothesis], inputs: Row) -> Caption:
        """Add attention to every rendering. Runs the model again: blocking."""
        ids = [hypothesis.token_ids for hypothesis in hypotheses]
        best, *others = [
            replace(rendering, attention=region_map(self.codec, tokens, weights, self.grid))
            for rendering, tokens, weights in zip(
                (caption.best, *caption.alternatives), ids, self.engine.explain(inputs, ids), strict=True
            )
        ]
        return replace(caption, best=best, alternatives=others)


@dataclass(frozen=True)
class Picture:
    """A picture's work: what the model reads, and how its caption is to be searched for."""

    captioner: Captioner
    inputs: Row
    view: View
    search: Search
    explains: bool

    @property
    def size(self) -> int:
        """Regions that the model sees."""
        rows, columns = self.captioner.grid
        return rows * columns

    @property
    def rows(self) -> int:
        """A picture is one row."""
        return 1

    def requests(self, deadline: float | None, group: int) -> list[GenerateRequest]:
        """The row."""
        return [GenerateRequest(self.inputs, self.search, deadline, group=group)]

    def result(self, outcomes: list[Generation]) -> Caption:
        """The captions, and with `explains` what the model looked at."""
        caption = self.captioner.write(outcomes[0], self.view)
        return self.captioner.explain(caption, outcomes[0].hypotheses, self.inputs) if self.explains else caption
