"""Several 4f systems in a row, and the one they equal."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from .elements import ComplexMask
from .fourier import crop_center, invert
from .functional import compose
from .grid import Grid, check_field
from .keeping import Kept
from .passage import Kernel, kernel_of, passage
from .system import FourF, same_spacing
from .units import compact, m


class Cascade(nn.Module):
    r"""4f systems in a row, each lit by the one before.

    Everything is linear, so the row equals one matrix per frequency: with :math:`P` the inversion that each
    stage adds, stages act as :math:`T_L(\pm\nu) \cdots T_2(-\nu)\, T_1(\nu)` inside the narrowest stop.

    Args:
        stages: :class:`FourF` systems; each must begin on the grid where the one before ends.
        fused: True computes through that product (exact, and cheaper than layer by layer); False goes stage
            by stage, as the light does.

    Raises:
        ValueError: If grids or channels of neighbours do not meet.
        TypeError: If a stage is no :class:`FourF`.
    """

    def __init__(self, stages: list[FourF], fused: bool = True) -> None:
        super().__init__()
        _check_neighbours(stages)
        self.stages = nn.ModuleList(stages)
        self.fused = fused
        self._kept: Kept[Kernel] = Kept()
        self.grid, self.output_grid = stages[0].grid, stages[-1].output_grid

    @property
    def systems(self) -> list[FourF]:
        """The stages in order."""
        return [stage for stage in self.stages if isinstance(stage, FourF)]

    def transfer(self) -> Tensor:
        """T(nu) of the whole row, in the frequencies of the first stage, shape (C_out, C_in, H', W')."""
        systems = self.systems
        shape = systems[-1].lit_shape
        inverted = False
        total: Tensor | None = None
        for stage in systems:
            own = crop_center(stage.transfer(), shape)
            own = invert(own) if inverted else own
            total = own if total is None else compose(own, total)
            inverted ^= stage.invert_output
        assert total is not None  # a cascade has at least one stage
        return total

    def collapse(self) -> FourF:
        """The single 4f system that does the same, with fixed complex masks: exact, not an approximation."""
        systems = self.systems
        first = systems[0]
        with torch.no_grad():
            transfer = self.transfer()
            peak = float(transfer.abs().max())
        magnification = 1.0
        for stage in systems:
            magnification *= stage.magnification
        return FourF(
            self.grid,
            first.wavelength * m,
            first.focal_length * m,
            ComplexMask(transfer / peak, pitch=tuple(d * m for d in first.fourier_grid.spacing)),
            second_focal_length=first.focal_length * abs(magnification) * m,
            stop=systems[-1].lit_shape,
            combiner=peak,
            invert_output=magnification < 0,
        ).to(transfer.device)

    def forward(self, field: Tensor) -> Tensor:
        """The field in the last output plane.

        Raises:
            TypeError: If the field is no tensor of real or complex numbers.
            ValueError: If it has other channels or samples than the first stage: they would broadcast.
        """
        shape = (self.systems[0].masks.channels[1], *self.grid.shape)
        check_field("Cascade", field, shape, "real or complex")
        if not self.fused:
            for stage in self.stages:
                field = stage(field)
            return field
        return passage(field, self._kept.get(self, self._kernel))

    def _inverted(self) -> bool:
        return sum(stage.invert_output for stage in self.systems) % 2 == 1

    def _kernel(self) -> Kernel:
        factor = math.prod(stage.amplitude_factor for stage in self.systems)
        return kernel_of(self.transfer(), self.grid.shape, self._inverted(), factor)

    def planes(self, field: Tensor) -> Iterator[tuple[str, Grid, Tensor]]:
        """The field plane by plane through all stages, as (name, grid, field)."""
        for number, stage in enumerate(self.systems, start=1):
            for name, grid, plane in stage.planes(field):
                yield f"stage {number}: {name}", grid, plane
            field = plane

    def __str__(self) -> str:
        return "\n".join(f"{number}. {stage}" for number, stage in enumerate(self.systems, start=1))


def _check_neighbours(stages: list[FourF]) -> None:
    if not stages:
        raise ValueError("Cascade: expected at least one 4f system, got none.")
    for stage in stages:
        if not isinstance(stage, FourF):
            raise TypeError(f"Cascade: expected stages that are a FourF, got {type(stage).__name__}.")
    for before, after in itertools.pairwise(stages):
        if before.masks.channels[0] != after.masks.channels[1]:
            got = f"{before.masks.channels[0]} into {after.masks.channels[1]}"
            raise ValueError(f"Cascade: expected as many channels in as the stage before gives, got {got}.")
        if before.output_grid.shape != after.grid.shape or not same_spacing(before.output_grid, after.grid):
            raise ValueError(f"Cascade: expected a stage on {before.output_grid}, got one on {after.grid}.")
        if before.wavelength != after.wavelength:
            got = f"{compact(before.wavelength, 'm')} and {compact(after.wavelength, 'm')}"
            raise ValueError(f"Cascade: expected one wavelength, got {got}.")
