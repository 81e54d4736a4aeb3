"""What tasks have in common that look at pictures."""

from __future__ import annotations

from contract.images import Fit, ImageError, Pixels, View, see
from service.tasks.errors import PictureError, check_bytes
from service.tasks.limits import RequestLimits


def look(content: bytes, size: int, fit: Fit, limits: RequestLimits, field: str) -> tuple[Pixels, View]:
    """A picture file as a model reads it, and what that shows of it, as by `see`. `field` names it in errors.

    Raises:
        PictureError, PictureTooLongError: it is no picture that can be read, or too long a file.
    """
    check_bytes(content, limits.image_bytes, field)
    try:
        return see(content, size, fit)
    except ImageError as error:
        raise PictureError(str(error), field) from error
