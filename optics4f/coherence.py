"""Light that is not one plane wave of one colour: sums of intensities over wavelengths and source points.

Everything here is a sum of what coherent systems do. A spectrum is a list of wavelengths, an extended source
a list of tilts, each with its share of the power.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial, reduce

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .fourier import centred_index, ft2, ift2, pad_center
from .functional import intensity, mask_and_sum
from .grid import Grid, check_field
from .light import ExtendedSource as ExtendedSource
from .light import Spectrum as Spectrum
from .light import count
from .perturbation import perturbed
from .propagation import unit_wave
from .system import FourF
from .units import compact


def intensity_over_wavelengths(
    bench: FourF, field: Tensor, spectrum: Spectrum, index: Callable[[float], float] | None = None
) -> Tensor:
    r"""Intensity behind a bench in light of many colours, :math:`I = \sum_i w_i\, |U_{\lambda_i}|^2`.

    Different wavelengths do not interfere over the exposure of a camera. A mask made for
    :math:`\lambda_0` acts at :math:`\lambda` as :math:`T(\nu \lambda/\lambda_0)`: its kernel grows with the
    wavelength while the image does not, so that all intensities lie on ``bench.output_grid``. For a kernel
    of k pixels the smear at its edge stays below half a pixel while the band is narrower than
    :math:`\lambda_0/k`. Phase masks are reliefs: their phase goes with
    :math:`(\lambda_0/\lambda)\,(n(\lambda)-1)/(n(\lambda_0)-1)`.

    What :func:`~optics4f.perturbed` says of another wavelength holds: a stop and a pupil keep the frequencies
    that they pass, and the field of the display is the same at every wavelength.

    Args:
        bench: The system, with masks made for its own wavelength.
        field: In light of the whole power at each wavelength, shape (..., C_in, H, W) [sqrt(W)/m].
        spectrum: The wavelengths and their shares of the power.
        index: Refractive index of the material of phase masks at a wavelength [m]; without dispersion if
            not given. For phase masks only.

    Returns:
        Shape (..., C_out, H', W') [W/m^2].

    Raises:
        TypeError: If the bench is no :class:`~optics4f.system.FourF`.
        ValueError: If an index is given, but the masks have no relief.

    Source: J. W. Goodman, Statistical Optics, 2nd ed., section 5.1.
    """

    def share(wavelength: float, weight: float) -> Tensor:
        ratio = None if index is None else (index(wavelength) - 1) / (index(bench.wavelength) - 1)
        system = perturbed(bench, wavelength=f"{wavelength!r} m", index_ratio=ratio)
        return weight * intensity(system(field))

    return reduce(torch.add, map(share, spectrum.wavelengths, spectrum.weights))


def abbe_intensity(
    bench: Callable[[Tensor], Tensor],
    field: Tensor,
    source: ExtendedSource,
    grid: Grid | None = None,
    chunk: int = 16,
) -> Tensor:
    r"""Intensity behind a system in the light of an extended source: Abbe's sum over its points.

    .. math:: I = \sum_s w_s\, |S[U\, e^{2\pi i f_s x}]|^2

    Exact for a thin object lit by independent points. Circular as the system: a tilt that is no whole
    multiple of 1/(N dx) breaks the field at the border of the plane, and light beyond the frequencies of the
    grid comes in again on their other side. Leave a dark surround, and room for object and tilt together.

    Args:
        bench: The system, a linear function of a field.
        field: In the light of the point on the axis, with the whole power, shape (..., C, H, W) [sqrt(W)/m].
        source: The points.
        grid: The input plane; ``bench.grid`` if not given.
        chunk: Points that are computed at a time. With gradients these are computed twice, so that no more
            than their fields are ever held.

    Returns:
        Shape of the output of the system, [W/m^2].

    Raises:
        TypeError: If the field is not complex, or the system has no grid and none is given.
        ValueError: If the field is on another grid, or a tilt is beyond the frequencies of the grid.

    Source: J. W. Goodman, Statistical Optics, 2nd ed., section 7.2; M. Born, E. Wolf, Principles of Optics,
    7th ed., section 10.6.
    """
    plane = getattr(bench, "grid", None) if grid is None else grid
    if not isinstance(plane, Grid):
        raise TypeError(f"abbe_intensity: expected a grid for {type(bench).__name__}, got {plane!r}.")
    check_field("abbe_intensity", field, plane.shape)
    points = torch.tensor(source.points, dtype=torch.float64)
    _check_tilts(points, plane)
    points = points.to(field.device)
    weights = torch.tensor(source.weights, dtype=torch.float64, device=field.device)
    each = count("abbe_intensity chunk", chunk)
    some = partial(_abbe_sum, bench, plane)
    if torch.is_grad_enabled() and len(points) > each:
        some = partial(checkpoint, some, use_reentrant=False)
    parts = zip(torch.split(points, each), torch.split(weights, each), strict=True)
    return reduce(torch.add, (some(field, *part) for part in parts))


def _abbe_sum(
    bench: Callable[[Tensor], Tensor], grid: Grid, field: Tensor, points: Tensor, weights: Tensor
) -> Tensor:
    tilted = field * tilts(grid, points).to(field.dtype).reshape(-1, *[1] * (field.ndim - 2), *grid.shape)
    output = intensity(bench(tilted))
    summed: Tensor = torch.tensordot(weights.to(output.dtype), output, dims=1)
    return summed


def tilts(grid: Grid, points: Tensor) -> Tensor:
    r"""Tilted plane waves :math:`e^{2\pi i (f_Y y + f_X x)}`, each as :class:`~optics4f.elements.Prism`.

    Args:
        grid: The plane.
        points: (fy, fx) [1/m], float64, shape (S, 2).

    Returns:
        complex128, shape (S, H, W).
    """
    y, x = (axis.to(points.device) for axis in grid.coordinates())
    rows, columns = (unit_wave(2 * math.pi * points[:, i, None] * axis) for i, axis in enumerate((y, x)))
    return rows[:, :, None] * columns[:, None, :]


def autocorrelation(transfer: Tensor) -> Tensor:
    r"""Autocorrelation :math:`\sum_\nu T(\nu + k)\, T^*(\nu)`: the transform of :math:`|h|^2`.

    Computed on twice the samples, so that nothing wraps round.

    Args:
        transfer: Centred, shape (..., H, W).

    Returns:
        Complex, centred, shape (..., 2H, 2W).
    """
    height, width = (2 * n for n in transfer.shape[-2:])
    psf = intensity(ift2(pad_center(transfer, (height, width))))
    return ft2(torch.complex(psf, torch.zeros_like(psf))) * math.sqrt(height * width)


def otf(bench: FourF) -> Tensor:
    r"""Optical transfer function of each mask: the autocorrelation of T, 1 at frequency 0.

    Its modulus is the MTF. Frequencies are those of the input grid, up to twice the cut-off. For a round
    pupil of cut-off :math:`f_c` it is :math:`(2/\pi)[\arccos s - s\sqrt{1-s^2}]`, :math:`s = f/(2 f_c)`.

    Args:
        bench: The system.

    Returns:
        Complex, centred, shape (C_out, C_in, 2H', 2W').

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed., section 6.3.
    """
    whole = autocorrelation(bench.transfer())
    height, width = whole.shape[-2:]
    return whole / whole[..., height // 2, width // 2, None, None].real


def incoherent_intensity(bench: FourF, light: Tensor) -> Tensor:
    r"""Intensity behind a bench of an object whose samples shine independently: linear in intensity.

    .. math:: I_o(x) = \sum_i \sum_{x'} |h_{oi}(x - x')|^2\, I_i(x')

    The channels are independent of one another too. It is the mean of ``bench.intensity`` over independent
    random phases of all samples, and Abbe's sum over a source that fills all frequencies of the grid, so that
    light is lost wherever T is dark: the power falls to the mean of :math:`|T|^2` over the whole plane.

    The object is a set of points at the samples and the image is read at the samples, both exactly. The
    transform of :math:`|h|^2`, twice as wide as T, is computed on twice the samples and does not wrap round;
    the image is circular on the plane, as the system is.

    Args:
        bench: The system.
        light: Intensity in the input plane, real, shape (..., C_in, H, W) [W/m^2].

    Returns:
        Shape (..., C_out, H', W') [W/m^2].

    Raises:
        TypeError: If the light is not real; it is an intensity, no field.
        ValueError: If it has other channels or samples than the system.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed., section 6.3.
    """
    check_field("incoherent_intensity", light, (bench.masks.channels[1], *bench.grid.shape), "real")
    spectrum = ft2(torch.complex(light, torch.zeros_like(light)))
    lit = bench.lit_shape
    for axis, n in zip((-2, -1), lit, strict=True):  # the spectrum of points is periodic
        size = spectrum.shape[axis]
        wanted = (centred_index(2 * n, light).long() + size // 2) % size
        spectrum = spectrum.index_select(axis, wanted)
    image = (ft2 if bench.invert_output else ift2)(mask_and_sum(spectrum, autocorrelation(bench.transfer())))
    whole = bench.grid.shape[0] * bench.grid.shape[1]
    factor = 2 * bench.amplitude_factor**2 / math.sqrt(whole * lit[0] * lit[1])
    return image.real[..., lit[0] % 2 :: 2, lit[1] % 2 :: 2] * factor


def _check_tilts(points: Tensor, grid: Grid) -> None:
    for axis, name in enumerate("yx"):
        largest, allowed = float(points[:, axis].abs().max()), 1 / (2 * grid.spacing[axis])
        if largest > allowed * (1 + 1e-9):
            got, wanted = compact(largest, "1/m"), compact(allowed, "1/m")
            raise ValueError(
                f"abbe_intensity: expected tilts in {name} up to {wanted}, half of 1/dx, got {got}."
            )
