"""Dark surroundings of a picture, and the part of a plane that is looked at."""

from __future__ import annotations

from torch import Tensor, nn

from ..fourier import crop_center, pad_center
from ..grid import check_field, checked_shape


class GuardBand(nn.Module):
    """Put a plane into a larger dark one about the same axis, so that convolution does not wrap round.

    Args:
        shape: Samples ``(H', W')`` of the larger plane.

    Shape:
        (..., H, W) to (..., H', W').

    Raises:
        TypeError: If the shape is not a pair of integers.
        ValueError: If it is empty or, when light arrives, smaller than the plane.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        self.shape = checked_shape("GuardBand", shape)

    def forward(self, field: Tensor) -> Tensor:
        """The larger plane."""
        check_field("GuardBand", field, (), "real or complex")
        return pad_center(field, self.shape)

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{self.shape[0]} x {self.shape[1]}"


class Window(nn.Module):
    """Keep the central part of a plane or of a sensor: the adjoint of :class:`GuardBand`.

    Args:
        shape: Samples or pixels ``(H', W')`` that are kept.

    Shape:
        (..., H, W) to (..., H', W').

    Raises:
        TypeError: If the shape is not a pair of integers.
        ValueError: If it is empty or, when light arrives, larger than the plane.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        self.shape = checked_shape("Window", shape)

    def forward(self, field: Tensor) -> Tensor:
        """The central part."""
        check_field("Window", field, (), "real or complex")
        return crop_center(field, self.shape)

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{self.shape[0]} x {self.shape[1]}"
