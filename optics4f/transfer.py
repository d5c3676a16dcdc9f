"""What a front end is worth: the rank of T(nu), and an audit that finds hidden nonlinearity."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .cascade import Cascade
from .elements.checks import checked_seed
from .functional import largest_singular_value
from .grid import check_field
from .system import FourF

# An affine map in float64 misses by rounding alone, 1e-16 times some number of operations; a ReLU by 0.1.
AFFINE_TOLERANCE = 1e-8


def rank(transfer: Tensor, tolerance: float = 1e-5) -> int:
    r"""Largest rank of T(nu) over all frequencies: how many independent channels the front end carries.

    Singular values below ``tolerance`` times the largest one of all frequencies count as zero.

    Args:
        transfer: Complex, shape (C_out, C_in, H, W).
        tolerance: Relative threshold.
    """
    values = torch.linalg.svdvals(transfer.flatten(2).movedim(2, 0))
    return int((values > tolerance * values.max()).sum(-1).max())


def affine_residual(function: Any, example: Tensor, seed: int = 0) -> float:
    r"""How far a function is from affine: 0 up to rounding for an affine one.

    .. math:: r = \max \frac{\lVert f(\sum_j a_j x_j) - \sum_j a_j f(x_j) \rVert}
        {\sum_j |a_j|\,\lVert f(x_j) - f(x_0) \rVert}, \quad \sum_j a_j = 1

    with weights :math:`a_j` of some 3, 30 and 300, so that a ReLU that is open on all examples, by up to some
    hundred times their spread, is found as well.

    Args:
        function: Callable on a batch.
        example: At least three different inputs, shape (B, ...).
        seed: Of the weights.

    Raises:
        ValueError: If there are fewer than three inputs.
        TypeError: If they are whole numbers, of which no weighted sum can be given, or the seed is none.
    """
    check_field("affine_residual", example, (), "real or complex")
    if len(example) < 3:
        raise ValueError(f"affine_residual: expected at least three inputs, got {len(example)}.")
    generator = torch.Generator().manual_seed(checked_seed("affine_residual", seed))
    with torch.no_grad():
        outputs = function(example).reshape(len(example), -1)
        # A large constant is rounded too; what it hides below 1e-6 of itself is not looked for.
        size = (outputs - outputs[:1]).norm(dim=1) + 1e-6 * outputs.norm(dim=1)
        residuals = [0.0]
        for reach in (3.0, 30.0, 300.0):
            weights = torch.randn(len(example), generator=generator, dtype=torch.float64) * reach
            weights[0] += 1 - weights.sum()
            weights = weights.to(example)
            found = function(torch.einsum("b,b...->...", weights, example)[None]).reshape(-1)
            missed = found - weights.to(outputs.dtype) @ outputs
            residuals.append(float(missed.norm()) / max(float(weights.abs() @ size), 1e-300))
    return max(residuals)


@dataclass(frozen=True)
class Audit:
    """What :func:`audit` found; ``print`` it for a sentence, ``to_dict`` it for a file.

    Attributes:
        readout: Name of the readout.
        optics_affine: Whether the light path from picture to field is affine.
        optics_residual: Its :func:`affine_residual`.
        affine: Whether the whole network, picture to logits, is affine: a linear classifier.
        residual: Its :func:`affine_residual`.
        passive: Whether no stage amplifies light.
        gain: Largest singular value of T(nu), at most 1 for passive optics; None if there is no T(nu).
        rank: Largest rank of T(nu); None if there is no T(nu).
        channels: ``(C_in, C_out)`` of the front end.
        masks: Number of masks as trained.
        collapsed_masks: Number after the collapse; None if the front end is not linear.
        exposures: Camera exposures per picture.
        conversions: Optical-to-electronic conversions per picture, hidden ones included.
    """

    readout: str
    optics_affine: bool
    optics_residual: float
    affine: bool
    residual: float
    passive: bool | None
    gain: float | None
    rank: int | None
    channels: tuple[int, int]
    masks: int
    collapsed_masks: int | None
    exposures: int
    conversions: int

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        optics = f"optics: {_affine(self.optics_affine)} (residual {self.optics_residual:.0e})"
        if self.rank is not None:
            optics += (
                f", {'passive' if self.passive else 'NOT PASSIVE'}, rank {self.rank} of {max(self.channels)}"
            )
        masks = f"{self.masks:,} masks".replace(",", " ")
        masks += (
            f" collapse to {self.collapsed_masks}" if self.collapsed_masks is not None else ", no collapse"
        )
        plural = "" if self.conversions == 1 else "s"
        return (
            f"{optics} | {masks} | {self.exposures} exposure, "
            f"{self.conversions} optical-to-electronic conversion{plural} | "
            f"readout {self.readout}, whole network {_affine(self.affine)} (residual {self.residual:.0e})"
        )


def audit(optics: nn.Module, network: Any, example: Tensor, source: Any, readout: str) -> Audit:
    """Say what a front end is by measuring it, not by its name.

    The optics and the whole network are run in float64 on combinations of the examples; passivity and rank
    are read off T(nu) where the optics are 4f systems. Every part of the optics that is not linear in the
    field costs an optical-to-electronic conversion of its own, beside the detector's.

    Args:
        optics: The front end, field to field: a :class:`FourF`, a :class:`Cascade`, or any module.
        network: Callable, pictures to logits.
        example: At least three pictures, float64, shape (B, C, H, W).
        source: Callable, pictures to fields.
        readout: Name of the readout.

    Raises:
        ValueError: If there are fewer than three pictures, or no 4f system among the optics.
    """
    systems = [part for part in optics.modules() if isinstance(part, FourF)]
    if not systems:
        raise ValueError(f"audit: expected optics with a FourF among them, got {type(optics).__name__}.")
    whole = affine_residual(network, example)
    light = affine_residual(optics, source(example))
    linear = light < AFFINE_TOLERANCE
    transfer = optics.transfer().detach() if linear and isinstance(optics, (FourF, Cascade)) else None
    gain = None if transfer is None else float(largest_singular_value(transfer))
    inputs, outputs = systems[0].masks.channels[1], systems[-1].masks.channels[0]
    conversions = 1 + _hidden_conversions(optics, source(example))
    return Audit(
        readout=readout,
        optics_affine=linear,
        optics_residual=light,
        affine=whole < AFFINE_TOLERANCE,
        residual=whole,
        passive=None if gain is None else gain <= 1 + 1e-6,
        gain=gain,
        rank=None if transfer is None else rank(transfer),
        channels=(inputs, outputs),
        masks=sum(system.masks.channels[0] * system.masks.channels[1] for system in systems),
        collapsed_masks=inputs * outputs if linear else None,
        exposures=conversions,  # each conversion reads a sensor
        conversions=conversions,
    )


def _hidden_conversions(optics: nn.Module, field: Tensor) -> int:
    """Number of parts of the optics that are not affine though their own parts are.

    Each is found by running it on what it is given.
    """
    inside = {part for system in optics.modules() if isinstance(system, FourF) for part in system.modules()}
    seen: list[tuple[nn.Module, Tensor]] = []
    parts = [part for part in optics.modules() if part not in inside]
    hooks = [
        part.register_forward_hook(lambda part, given, _: seen.append((part, given[0]))) for part in parts
    ]
    try:
        with torch.no_grad():
            optics(field)
    finally:
        for hook in hooks:
            hook.remove()
    bent = [part for part, given in seen if affine_residual(part, given) > AFFINE_TOLERANCE]
    return sum(not any(other in bent for other in part.modules() if other is not part) for part in bent)


def _affine(flag: bool) -> str:
    return "affine" if flag else "NOT AFFINE"
