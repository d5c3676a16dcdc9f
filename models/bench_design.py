"""The bench of a counterpart: its lengths, its guard band and stops, and the 4f systems on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optics4f.elements import MaskBank
from optics4f.grid import Grid
from optics4f.system import FourF

from .linear_part import Layer, wrapped_kernels


@dataclass(frozen=True)
class BenchDesign:
    """The bench that a counterpart stands on. Quantities have units.

    Attributes:
        spacing: Distance of the samples of the input plane [m].
        wavelength: [m].
        focal_length: Of every lens [m].
        power: Illumination over the whole picture [W].
        guard: How many times as wide as the picture the planes are, the rest being dark. 1: every layer is
            circular. From 2 on nothing wraps round; a padded layer of the CNN, which cuts its output off at
            the border and pads it with zeros again, is met exactly if it is the only one.
        odd_stops: Whether stops of even size lose a row and a column and become odd. An even stop has an
            unpaired edge, which is blocked; a relief, which has phase alone, cannot be dark there.
    """

    spacing: Any = "10 um"
    wavelength: Any = "532 nm"
    focal_length: Any = "100 mm"
    power: Any = "1 mW"
    guard: int = 1
    odd_stops: bool = False

    def __post_init__(self) -> None:
        if type(self.guard) is not int or self.guard < 1:
            raise ValueError(f"BenchDesign: expected a guard of 1, 2, 3 ..., got {self.guard!r}.")


def stages_of(layers: list[Layer], plane: tuple[int, int], bench: BenchDesign) -> list[FourF]:
    """A 4f system for every layer, each on the output plane of the one before.

    Args:
        layers: The linear part of a CNN.
        plane: Samples ``(H, W)`` of the input plane, guard band included.
        bench: Lengths, and how stops are made.

    Raises:
        TypeError: If a length has no unit.
    """
    grid = Grid(plane, bench.spacing)
    stages: list[FourF] = []
    for layer in layers:
        rows, columns = (
            _stop(bench.guard * size, n, bench.odd_stops)
            for size, n in zip(layer.size, grid.shape, strict=True)
        )
        # Row 0 of a kernel is its top, row 0 of a plane the lowest y.
        masks = MaskBank.from_kernels(wrapped_kernels(layer.kernels.flip(-2), grid.shape))
        stage = FourF(
            *(grid, bench.wavelength, bench.focal_length, masks),
            stop=None if (rows, columns) == grid.shape else (rows, columns),
            combiner="bound",
            invert_output=False,
        )
        stages.append(stage)
        grid = stage.output_grid
    return stages


def _stop(size: int, plane: int, odd: bool) -> int:
    """Samples of a stop: what the CNN keeps, never more than there are."""
    if size >= plane:
        return plane
    return size - 1 if odd and size % 2 == 0 else size
