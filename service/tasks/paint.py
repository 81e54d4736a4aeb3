"""Completion and upscaling: a picture → the engine's request → a picture, drawn intensity by intensity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contract.images import Pixels
from contract.inputs import Row, image_row, prompt_row
from contract.pixels import BOS_ID, pixel_tokens, token_pixels
from contract.preprocessing import CHANNELS
from service.runtime.requests import Generation
from service.tasks.errors import BadOptionError
from service.tasks.sampling import Drawer, Drawing, SamplingOptions, draw
from service.tasks.seeing import look


@dataclass(frozen=True)
class CompletionOptions(SamplingOptions):
    """How to draw the rest of a picture; of its square, `rows` are kept from the top, None keeps half of them."""

    rows: int | None = None


@dataclass(frozen=True)
class Drawn:
    """What was drawn: `pixels [size, size, 3]`, and the mean log-probability of an intensity, kept ones left out."""

    pixels: Pixels
    score: float
    seed: int


class Painter(Drawer):
    """What stands before and after the model of one bundle, whatever it draws from."""

    @property
    def size(self) -> int:
        """Pixels a side of what it draws."""
        return self._manifest.pixels.size

    def _canvas(self, options: SamplingOptions, inputs: Row, kept: Sequence[int] = ()) -> Canvas:
        search = draw(options, self._manifest, CHANNELS * self.size**2 - len(kept))
        return Canvas(inputs, [BOS_ID, *kept][-1], len(kept), search, options.seed, self, list(kept))

    def _see(self, content: bytes, size: int, field: str) -> Pixels:
        return look(content, size, self._manifest.pixels.fit, self._limits, field)[0]


class Completer(Painter):
    """Draws the lower part of a picture."""

    def read(self, content: bytes, options: CompletionOptions, field: str) -> Canvas:
        """A picture file as the work that it is. `field` names it in errors.

        Raises:
            PictureError, PictureTooLongError: as for `look`.
            BadOptionError: as for `draw`, or no such number of rows can be kept.
        """
        rows = self.size // 2 if options.rows is None else options.rows
        if not 0 <= rows < self.size:
            raise BadOptionError(f"{rows} is not between 0 and {self.size - 1}, of {self.size} rows in all", "rows")
        kept = pixel_tokens(self._see(content, self.size, field)[:rows])
        return self._canvas(options, prompt_row([BOS_ID, *kept]), kept)


class Upscaler(Painter):
    """Draws a picture anew from a smaller one."""

    def read(self, content: bytes, options: SamplingOptions, field: str) -> Canvas:
        """A picture file as the work that it is. `field` names it in errors.

        Raises:
            PictureError, PictureTooLongError: as for `look`.
            BadOptionError: as for `draw`.
        """
        source_size = self._manifest.pixels.source_size
        assert source_size is not None, "what is upscaled is smaller"
        return self._canvas(options, image_row(self._see(content, source_size, field)))


@dataclass(frozen=True)
class Canvas(Drawing):
    """A picture's work; `kept` are the intensities of it that are not drawn."""

    painter: Painter
    kept: list[int]

    @property
    def size(self) -> int:
        """Intensities that the model reads."""
        return max(array.size for array in self.inputs.values())

    def result(self, outcomes: list[Generation]) -> Drawn:
        """The picture."""
        best = outcomes[0].hypotheses[0]
        return Drawn(token_pixels([*self.kept, *best.token_ids], self.painter.size), best.score, self.seed)
