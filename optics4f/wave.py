"""A 4f system by real propagation: space, thin lens, space, masks, space, thin lens, space.

:class:`~optics4f.system.FourF` takes lenses as ideal Fourier transforms on a periodic plane. Here the light
goes the whole way through free space, on a plane that is wide and fine enough for all of it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .elements import FreeSpace, MaskBank, ThinLens
from .fourier import invert, pad_center
from .functional import mask_and_sum
from .grid import Grid
from .system import FourF
from .units import compact, m, mm, nm, um
from .zoom import zoom_adjoint, zoom_transform


def wave_four_f(
    bench: FourF,
    field: Tensor,
    method: str = "fresnel",
    samples: int | None = None,
    lens_diameter: float | None = None,
) -> tuple[Tensor, Grid]:
    r"""The output of a 4f system, with free space and thin lenses in place of Fourier transforms.

    All planes have M x M samples :math:`\sqrt{\lambda f/M}` apart, where lens and free space over f are both
    just sampled, and are wide enough for light from the edge of the input that is bent as far as the input
    plane can hold, :math:`\sqrt{\lambda f M} \ge N \Delta x + \lambda f/\Delta x`. Outside of the input plane
    and outside of the masks it is dark. Masks are interpolated between their samples as the transform of
    their kernels, so nothing wraps round.

    Scalar; thin, paraxial lenses. At this sampling and with even M, the three steps from focal plane to
    focal plane by ``"fresnel"`` are the discrete Fourier transform to rounding. The constant phase 1/i of
    each lens is left out, as it is in FourF.

    Args:
        bench: The 4f system: equal focal lengths, no stop.
        field: Complex amplitude, shape (..., C_in, H, W), dark towards its edges.
        method: Free space as ``"fresnel"`` or ``"angular_spectrum"``, see :mod:`optics4f.propagation`.
        samples: M; the smallest that is honest, or a few more, if not given.
        lens_diameter: Aperture of both lenses [m]; they fill the plane if not given.

    Returns:
        The field in the output plane, shape (..., C_out, M, M), and its grid.

    Raises:
        ValueError: If the bench has a stop or two focal lengths, or there are too few samples.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed., sections 5.2 and 8.1.
    """
    plane = wave_grid(bench, samples)
    light = bench.grid, bench.wavelength, bench.focal_length
    space = _space(method, plane, bench)
    diameter = None if lens_diameter is None else lens_diameter * m
    lens = ThinLens(plane, bench.wavelength * m, bench.focal_length * m, diameter)

    kernels = zoom_adjoint(bench.transfer().to(field.dtype), *light, bench.fourier_grid)
    opening = _within(plane, bench.fourier_grid.extent)
    masks = pad_center(zoom_transform(kernels, *light, opening), plane.shape)
    spectrum = space(lens(space(onto_wave_grid(bench, field, plane))))
    output = -space(lens(space(mask_and_sum(spectrum, masks))))
    return output if bench.invert_output else invert(output), plane


def wave_grid(bench: FourF, samples: int | None = None) -> Grid:
    """The plane on which :func:`wave_four_f` propagates, with at least ``samples`` samples if given.

    Raises:
        ValueError: As :func:`wave_four_f`.
    """
    _check_bench(bench)
    area = bench.wavelength * bench.focal_length
    widest = max(n * d + area / d for n, d in zip(bench.grid.shape, bench.grid.spacing, strict=True))
    needed = math.ceil(widest**2 / area)
    if samples is not None and samples < needed:
        raise ValueError(
            f"wave_four_f: expected at least {needed} samples, so that light {compact(widest, 'm')} wide "
            f"stays in the plane, got {samples}."
        )
    count = samples or _fast_even(needed)
    spacing = math.sqrt(area / count)
    return Grid.from_si((count, count), (spacing, spacing))


def onto_wave_grid(bench: FourF, field: Tensor, plane: Grid) -> Tensor:
    """A field on the input plane of a bench, interpolated band-limited, and dark outside of that plane.

    Args:
        bench: The 4f system.
        field: Complex amplitude, shape (..., H, W).
        plane: The grid from :func:`wave_grid`.

    Returns:
        Shape (..., M, M).
    """
    light = bench.wavelength, bench.focal_length, bench.fourier_grid
    spectrum = zoom_transform(field, bench.grid, *light)
    inside = zoom_adjoint(spectrum, _within(plane, bench.grid.extent), *light)
    return pad_center(inside, plane.shape)


class Agreement(NamedTuple):
    """How far a method is from the ideal 4f system, largest difference over largest field; its time [s]."""

    method: str
    relative_error: float
    seconds: float


def agreement(bench: FourF, field: Tensor) -> list[Agreement]:
    """One bench and field by every method, against ideal lenses.

    Args:
        bench: The 4f system: equal focal lengths, no stop.
        field: Complex amplitude, shape (..., C_in, H, W), dark towards its edges.
    """
    with torch.no_grad():
        bench(field)  # the first call also builds what the next ones keep
        ideal, seconds = _timed(lambda: bench(field))
        rows = [Agreement("ideal lenses, FFT", 0.0, seconds)]
        zoomed, seconds = _timed(lambda: matrix_four_f(bench, field))
        rows.append(Agreement("ideal lenses, matrix Fourier", _difference(zoomed, ideal), seconds))
        for method in ("fresnel", "angular_spectrum"):
            (output, plane), seconds = _timed(partial(wave_four_f, bench, field, method))
            error = _difference(output, onto_wave_grid(bench, ideal, plane))
            rows.append(Agreement(f"thin lenses and space, {method}", error, seconds))
    return rows


def matrix_four_f(bench: FourF, field: Tensor) -> Tensor:
    """The output of a 4f system with both lenses as :func:`~optics4f.zoom.zoom_transform`, shape as FourF's.

    Raises:
        ValueError: If the bench has a stop or two focal lengths.
    """
    _check_bench(bench)
    light = bench.wavelength, bench.focal_length
    spectrum = zoom_transform(field, bench.grid, *light, bench.fourier_grid)
    output = zoom_transform(mask_and_sum(spectrum, bench.transfer()), bench.fourier_grid, *light, bench.grid)
    return output if bench.invert_output else invert(output)


def documented_case(samples: int = 64) -> tuple[FourF, Tensor]:
    """The bench and the field of docs/fidelity.md: the Laplacian of four round spots, 100 mm, 532 nm."""
    grid = Grid((samples, samples), 8 * um)
    laplacian = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    bench = FourF(grid, 532 * nm, 100 * mm, MaskBank.from_kernels(laplacian[None, None]))
    y, x = grid.coordinates()
    spots = torch.zeros(samples, samples, dtype=torch.complex128)
    for down, right, height in ((-6, -3, 1.0), (5, 7, 0.8), (2, -7, 0.6j), (-4, 6, -0.5)):
        radius2 = (y[:, None] - down * 8e-6) ** 2 + (x - right * 8e-6) ** 2
        spots = spots + height * torch.exp(-radius2 / 32e-6**2)
    return bench, spots[None]


def _check_bench(bench: FourF) -> None:
    if bench.lit_shape != bench.grid.shape:
        got = f"{bench.lit_shape} of {bench.grid.shape}"
        raise ValueError(f"wave_four_f: expected a bench without a stop, got one of {got} samples.")
    if not math.isclose(bench.focal_length, bench.second_focal_length, rel_tol=1e-9):
        got = f"{compact(bench.focal_length, 'm')} and {compact(bench.second_focal_length, 'm')}"
        raise ValueError(f"wave_four_f: expected equal focal lengths, got {got}: no one plane samples both.")


def _space(method: str, plane: Grid, bench: FourF) -> FreeSpace:
    if method not in ("fresnel", "angular_spectrum"):
        raise ValueError(f"wave_four_f: expected fresnel or angular_spectrum, got {method!r}.")
    # Light is bent as far as the input plane can hold, no farther; the band of this plane is wider.
    cutoff = max(1 / (2 * d) for d in bench.grid.spacing) / m if method == "angular_spectrum" else None
    return FreeSpace(plane, bench.wavelength * m, bench.focal_length * m, method, cutoff)


def _within(plane: Grid, extent: tuple[float, float]) -> Grid:
    """The central samples of a plane that lie inside another one."""
    height, width = (int(length / d * (1 + 1e-9)) for length, d in zip(extent, plane.spacing, strict=True))
    return plane.with_shape((height, width))


def _fast_even(n: int) -> int:
    from scipy.fft import next_fast_len

    result: int = 2 * next_fast_len(-(-n // 2), real=True)
    return result


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    return call(), time.perf_counter() - start


def _difference(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).abs().max() / expected.abs().max())
