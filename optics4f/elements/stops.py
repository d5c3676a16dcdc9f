"""Stops in the Fourier plane."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..fourier import crop_center, ft2, ift2
from ..grid import check_field, checked_shape

KEEPS = ("energy", "mean")


class LowPassStop(nn.Module):
    r"""Rectangular low-pass stop: the paper's spectral pooling (Eq. 6).

    Passes :math:`|f_Y| < H'/(2 H \Delta y)`, :math:`|f_X| < W'/(2 W \Delta x)` and blocks the rest; what is
    dark is not kept. With an even size the sample at ``-n'/2`` lies exactly on the edge of the stop and has
    no partner at ``+n'/2``; it is blocked, so that a symmetric stop keeps a real picture real.

    The light inside the stop is not changed: ``keeps="energy"``. Between two lenses that keeps the mean
    amplitude as well, because samples of a field are in sqrt(W)/m and their cells grow as their number
    shrinks; a 4f system does both. Between two bare unitary transforms there are no cells, and one of the
    two has to be named: ``keeps="mean"`` darkens the spectrum by :math:`\sqrt{H'W'/HW}`, see
    :func:`spectral_pool`. Between lenses that would be a grey filter.

    Args:
        shape: Samples ``(H', W')`` of the Fourier plane inside the stop.
        keeps: ``"energy"`` or ``"mean"``, of the bare samples.

    Shape:
        (..., H, W) to (..., H', W'), complex.

    Raises:
        ValueError: If the stop is empty or, when light arrives, larger than the plane, or for another name
            of what is kept.

    Source: O. Rippel, J. Snoek, R. P. Adams, arXiv:1506.03767.
    """

    def __init__(self, shape: tuple[int, int], keeps: str = "energy") -> None:
        super().__init__()
        if keeps not in KEEPS:
            raise ValueError(f"LowPassStop: expected keeps {' or '.join(KEEPS)}, got {keeps!r}.")
        self.shape, self.keeps = checked_shape("LowPassStop", shape), keeps

    def forward(self, spectrum: Tensor) -> Tensor:
        """The light inside the stop."""
        check_field("LowPassStop", spectrum, (), "real or complex")
        plane = (spectrum.shape[-2], spectrum.shape[-1])
        inside = crop_center(spectrum, self.shape) * self.pupil(plane).to(spectrum.real)
        if self.keeps == "energy":
            return inside
        return inside * math.sqrt(math.prod(self.shape) / math.prod(plane))

    def pupil(self, plane: tuple[int, int]) -> Tensor:
        """1 where a plane of this shape is open, 0 on the unpaired edge of an even stop; float64."""
        rows, columns = (torch.ones(n, dtype=torch.float64) for n in self.shape)
        rows[: int(self.shape[0] % 2 == 0 and self.shape[0] < plane[0])] = 0
        columns[: int(self.shape[1] % 2 == 0 and self.shape[1] < plane[1])] = 0
        return torch.outer(rows, columns)

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{self.shape[0]} x {self.shape[1]}" + (", keeps the mean" if self.keeps == "mean" else "")


def spectral_pool(picture: Tensor, shape: tuple[int, int], keeps: str = "mean") -> Tensor:
    r"""Spectral pooling of the samples of a picture: what a 4f system with a stop does, in electronics.

    .. math:: V = s\, F_{H'W'}^{-1}\, C\, F_{HW}\, U, \qquad
        s = \sqrt{H'W'/HW} \;(\text{mean}), \quad 1 \;(\text{energy})

    with unitary transforms F and the stop C of :class:`LowPassStop`. For any picture, exactly:

    - ``"mean"``: :math:`\operatorname{mean} V = \operatorname{mean} U`. Samples are densities, such as
      amplitudes in sqrt(W)/m: the mean of :math:`|V|^2` is that of the part of U inside the stop, and so is
      the power, since the cells have grown by HW/H'W'. It is the output of a 4f system of equal focal lengths
      with this stop and no masks, and bare transforms with the inverse scaled by H'W'/HW.
    - ``"energy"``: :math:`\sum |V|^2` is the sum over the part of U inside the stop. Samples are portions,
      such as the square root of the energy of a sample; the mean grows by :math:`\sqrt{HW/H'W'}`.

    The two differ by a constant alone. Circular, with the ringing of a hard stop. A real picture stays real,
    for odd and even sizes. Sample n' // 2 of the result stands where sample n // 2 of the picture does: turn
    a picture over before, if it is to be compared with a field.

    Args:
        picture: Real or complex, shape (..., H, W).
        shape: ``(H', W')``, no larger than ``(H, W)``.
        keeps: ``"mean"`` or ``"energy"``.

    Returns:
        Shape (..., H', W'), real for a real picture.

    Raises:
        ValueError: As :class:`LowPassStop`.

    Source: O. Rippel, J. Snoek, R. P. Adams, arXiv:1506.03767, whose unitary transforms keep the energy.
    """
    pooled = ift2(LowPassStop(shape, keeps)(ft2(picture)))
    return pooled if picture.is_complex() else pooled.real
