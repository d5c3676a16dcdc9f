"""Channels side by side on one mask: pictures in the input plane, kernels in its point-spread function.

One 4f system without beam splitters then computes all convolutions and sums of a layer. The price is samples,
and light that falls beside the tiles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..fourier import kernel_response
from ..functional import intensity
from ..grid import check_field, checked_shape
from .masks import MaskBank, check_bank

Pair = tuple[int, int]


@dataclass(frozen=True)
class TileLayout:
    r"""Where pictures, kernels and sums lie, all in samples and in the order (y, x).

    Tiles of :math:`p = N + k - 1` samples hold a whole linear convolution. The pictures stand p apart, at
    :math:`x_i`, the wanted sums :math:`n_{in} p` apart, at :math:`x_o`. Kernel :math:`h_{oi}` stands in the
    mask's point-spread function at :math:`x_o - x_i`, which brings picture i to the place of output o:

    .. math:: U(x) = \sum_{oij} (h_{oi} * u_j)(x - x_o + x_i - x_j)

    Terms with :math:`j \ne i` land on other tiles. A plane of :math:`n_{in} n_{out} p` samples in each
    direction is needed, and is enough: what leaves it on one side comes back from the other, as orders of a
    sampled mask do, between the wanted tiles. ``outputs`` alone is one picture and many kernels, ``inputs``
    alone many pictures and one sum.

    Args:
        field: Samples N of a picture.
        kernel: Samples k of a kernel.
        inputs: Rows and columns of pictures; C_in is their product, counted row by row with growing y.
        outputs: Rows and columns of sums; C_out is their product.

    Raises:
        TypeError: If one of them is not a pair of integers.
        ValueError: If one of them is less than 1.

    Source: J. Chang et al., Scientific Reports 8, 12324 (2018), for outputs side by side; S. Li et al.,
    arXiv:2011.07391, for inputs.

    Example:
        >>> layout = TileLayout((224, 224), (7, 7), outputs=(8, 8))
        >>> layout.tile, layout.shape, layout.capacity((2048, 2048))
        ((230, 230), (1840, 1840), 64)
    """

    field: Pair
    kernel: Pair
    inputs: Pair = (1, 1)
    outputs: Pair = (1, 1)

    def __post_init__(self) -> None:
        for name in ("field", "kernel", "inputs", "outputs"):
            what = "tile" if name.endswith("puts") else "sample"
            object.__setattr__(self, name, checked_shape(f"TileLayout {name}", getattr(self, name), what))

    @property
    def channels(self) -> Pair:
        """``(C_out, C_in)``."""
        return math.prod(self.outputs), math.prod(self.inputs)

    @property
    def guard(self) -> Pair:
        """Dark samples between neighbouring pictures, k - 1."""
        return self.kernel[0] - 1, self.kernel[1] - 1

    @property
    def tile(self) -> Pair:
        """Pitch of the pictures and size of a tile, N + k - 1."""
        return self.field[0] + self.guard[0], self.field[1] + self.guard[1]

    @property
    def shape(self) -> Pair:
        """Samples of the smallest plane that holds all."""
        height, width = (n * o * p for n, o, p in zip(self.inputs, self.outputs, self.tile, strict=True))
        return height, width

    def fill(self, plane: Pair) -> float:
        """Part of an output plane that wanted tiles take; on the smallest plane 1 / C_in."""
        return self.channels[0] * math.prod(self.tile) / math.prod(plane)

    def capacity(self, plane: Pair) -> int:
        """How many kernels, C_in C_out of them, fit side by side in the point-spread function of a plane."""
        return math.prod(n // p for n, p in zip(plane, self.tile, strict=True))

    def check(self, plane: Pair) -> None:
        """Refuse a plane that is too small.

        Raises:
            ValueError: With what is missing in each direction.
        """
        missing = tuple(max(0, need - n) for need, n in zip(self.shape, plane, strict=True))
        if any(missing):
            raise ValueError(
                f"TileLayout: expected a plane of at least {self.shape} samples for {self.channels[1]} "
                f"inputs and {self.channels[0]} outputs, got {tuple(plane)}: {missing} too few."
            )

    def input_corners(self, plane: Pair) -> list[Pair]:
        """First sample (y, x) of every picture; a single picture stands on the axis."""
        rows, columns = (
            [n // 2 - count * tile // 2 + tile // 2 - size // 2 + tile * i for i in range(count)]
            for n, count, tile, size in zip(plane, self.inputs, self.tile, self.field, strict=True)
        )
        return [(row, column) for row in rows for column in columns]

    def output_corners(self, plane: Pair) -> list[Pair]:
        """First sample (y, x) of every wanted tile."""
        rows, columns = (
            [n // 2 - all_ // 2 + (count - 1) * tile // 2 + count * tile * o for o in range(outputs)]
            for n, all_, count, tile, outputs in zip(
                plane, self.shape, self.inputs, self.tile, self.outputs, strict=True
            )
        )
        return [(row, column) for row in rows for column in columns]

    def kernel_corners(self, plane: Pair) -> list[Pair]:
        """First sample (y, x) of every kernel, output by output."""
        # Picture at sample a, tile at b, axis at n // 2: the full convolution starts at a + kernel - n // 2.
        return [
            (oy - iy + plane[0] // 2, ox - ix + plane[1] // 2)
            for oy, ox in self.output_corners(plane)
            for iy, ix in self.input_corners(plane)
        ]


def tile_inputs(field: Tensor, layout: TileLayout, plane: Pair) -> Tensor:
    """The pictures of all channels side by side in one dark plane.

    Args:
        field: Shape (..., C_in, H, W).
        layout: Where they lie.
        plane: Samples of the plane.

    Returns:
        Shape (..., 1, *plane).

    Raises:
        TypeError: If the field is no tensor of real or complex numbers.
        ValueError: If it has other channels or samples than the layout, or the plane is too small.
    """
    check_field("tile_inputs", field, (layout.channels[1], *layout.field), "real or complex")
    layout.check(plane)
    tiled = _placed(field, layout.input_corners(plane), plane)
    return tiled[..., None, :, :]


def tiled_kernels(kernels: Tensor, layout: TileLayout, plane: Pair) -> Tensor:
    """The point-spread function that holds all kernels, :math:`h_{oi}` at :math:`x_o - x_i`.

    Args:
        kernels: Real or complex, shape (C_out, C_in, k, l).
        layout: Where they lie.
        plane: Samples of the plane.

    Returns:
        Shape (1, 1, *plane), the axis at ``n // 2``.

    Raises:
        TypeError: If the kernels are no tensor of real or complex numbers.
        ValueError: If they have another shape than the layout, or the plane is too small.
    """
    check_field("tiled_kernels", kernels, (*layout.channels, *layout.kernel), "real or complex")
    layout.check(plane)
    return _placed(kernels.flatten(0, 1), layout.kernel_corners(plane), plane)[None, None]


def read_tiles(field: Tensor, layout: TileLayout, whole: bool = False) -> Tensor:
    """The wanted sums out of one upright output plane: read with ``invert_output=False`` or ``invert``.

    Args:
        field: Shape (..., 1, H', W'), the plane of the mask.
        layout: Where the tiles lie.
        whole: Whether all N + k - 1 samples of a convolution are read, instead of the N of the picture.

    Returns:
        Shape (..., C_out, H, W), the axis of the picture at ``n // 2``; or (..., C_out, *layout.tile).

    Raises:
        TypeError: If the field is no tensor of real or complex numbers.
        ValueError: If it has more than one channel, or is too small.
    """
    check_field("read_tiles", field, (1, *field.shape[-2:]), "real or complex")
    plane = (field.shape[-2], field.shape[-1])
    layout.check(plane)
    height, width = layout.tile if whole else layout.field
    dy, dx = (0, 0) if whole else (layout.kernel[0] // 2, layout.kernel[1] // 2)
    corners = layout.output_corners(plane)
    tiles = [field[..., 0, y + dy : y + dy + height, x + dx : x + dx + width] for y, x in corners]
    return torch.stack(tiles, -3)


def stray_fraction(field: Tensor, layout: TileLayout) -> Tensor:
    """Part of the power in an upright output plane that lies outside the wanted tiles; shape (...).

    Args:
        field: Shape (..., 1, H', W').
        layout: Where the tiles lie.
    """
    wanted = intensity(read_tiles(field, layout, whole=True)).sum((-3, -2, -1))
    return (1 - wanted / intensity(field).sum((-3, -2, -1))).clamp(min=0)


class TiledMask(MaskBank):
    r"""One mask that does the work of :math:`C_{out} C_{in}`: its point-spread function holds all kernels.

    .. math:: t(\nu) = s \sum_{oi} \hat h_{oi}(\nu)\, e^{-2\pi i \nu (x_o - x_i)}, \qquad \max |t| = 1

    A convolution with the kernels as they stand, on pictures from :func:`tile_inputs`, read by
    :func:`read_tiles`. For the 4f system it is a bank 1 -> 1: passive at any scale, without a beam splitter.

    Args:
        kernels: Real or complex, shape (C_out, C_in, k, l); the kernel's origin is its sample ``k // 2``.
        layout: Where they lie.
        trainable: Whether the kernels are parameters.

    Raises:
        TypeError: If the kernels are no tensor of real or complex numbers.
        ValueError: If they have another shape than the layout, are zero or not finite, or, in a 4f system,
            the plane is too small.
    """

    def __init__(self, kernels: Tensor, layout: TileLayout, trainable: bool = True) -> None:
        check_bank(kernels, "TiledMask")
        check_field("TiledMask", kernels, (*layout.channels, *layout.kernel), "real or complex")
        if not bool(kernels.detach().abs().max() > 0):
            raise ValueError("TiledMask: expected kernels that are not all zero, got zeros.")
        super().__init__(torch.empty(1, 1, *layout.shape, device="meta"))
        self.layout = layout
        self.is_complex = kernels.is_complex()
        values = torch.view_as_real(kernels) if self.is_complex else kernels
        self.kernels = nn.Parameter(values.detach().clone(), requires_grad=trainable)

    def response(self, grid: Pair, shape: Pair) -> Tensor:
        """The Fourier transform of the tiled kernels.

        Raises:
            ValueError: If the plane is too small for the tiles.
        """
        kernels = torch.view_as_complex(self.kernels) if self.is_complex else self.kernels
        return kernel_response(tiled_kernels(kernels, self.layout, grid), grid, shape, -1)

    def scale(self, response: Tensor) -> Tensor:
        """1 / max|H|: the brightest passive mask."""
        return 1 / response.abs().amax()


def _placed(pieces: Tensor, corners: list[Pair], plane: Pair) -> Tensor:
    """Pieces (..., C, h, w) at their corners in one dark plane (..., *plane)."""
    height, width = pieces.shape[-2:]
    whole = pieces.new_zeros(*pieces.shape[:-3], *plane)
    for c, (y, x) in enumerate(corners):
        whole[..., y : y + height, x : x + width] = pieces[..., c, :, :]
    return whole
