"""Every element against every law. A new element is tested by one more line in ``CASES``.

The planes are small, so that an element can be written out as a matrix: its largest singular value is the
gain of the worst field there is, and nothing has to be searched for.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optics4f import elements
from optics4f.cascade import Cascade
from optics4f.elements import (
    Aberration,
    AmplitudeEncoding,
    AmplitudeMask,
    Aperture,
    ApodisedStop,
    BalancedHomodyne,
    BinaryMask,
    Camera,
    ChannelErrors,
    ClippedMask,
    CoherentSum,
    ComplexMask,
    EvenIllumination,
    FanOut,
    FourierLens,
    FourStepReadout,
    FreeSpace,
    GaussianIllumination,
    GuardBand,
    HomodyneReadout,
    IntensityDetector,
    JonesMask,
    KernelMask,
    LinearPolariser,
    LookupMask,
    LowPassStop,
    MaskBank,
    OffAxisReadout,
    PerPolarisation,
    PhaseEncoding,
    PhaseMask,
    Pixelated,
    Prism,
    Pupil,
    Sensor,
    ThinLens,
    TiledMask,
    TileLayout,
    WavePlate,
    Window,
)
from optics4f.grid import Grid
from optics4f.perturbation import Perturbed, perturbed
from optics4f.system import FourF
from optics4f.units import m, mm, nm, um

ROUNDING = 1e-12  # float64, sums of some hundred terms
SINGLE = 1e-5  # float32: 6e-8 times the square root of some thousand operations
LIGHT, FOCUS = 532 * nm, 100 * mm
ODD_EVEN = Grid((5, 6), (8 * um, 10 * um))
EVEN_ODD = Grid((6, 5), (8 * um, 10 * um))
EVEN = Grid((4, 6), (8 * um, 10 * um))
ODD = Grid((5, 7), (8 * um, 10 * um))
ARMS = (3, 2)  # C_out, C_in
# Every parity of a plane with one channel and with three, on either side.
PLACES = [(ODD_EVEN, (1, 1)), (EVEN_ODD, (3, 1)), (EVEN, (1, 3)), (ODD, (3, 3))]
REACHABLE = torch.polar(torch.tensor([1, 0.9, 0.7, 0.4]), torch.tensor([0.0, 1.2, 2.9, 4.4]))


def uniform(*shape: int) -> Tensor:
    return torch.rand(shape, dtype=torch.float64)


def field(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128)


def kernels(complex_valued: bool = False, channels: tuple[int, int] = ARMS) -> Tensor:
    return field(*channels, 3, 2) if complex_valued else field(*channels, 3, 2).real.contiguous()


def grown_mask() -> ComplexMask:
    """A mask that training drove beyond |t| = 1."""
    mask = ComplexMask(uniform(*ARMS, 5, 6) * torch.exp(1j * field(*ARMS, 5, 6).real), trainable=True)
    mask.values.data *= 3
    return mask


def four_f(grid: Grid = ODD_EVEN, **options: Any) -> FourF:
    masks = options.pop("masks", None) or KernelMask(kernels(complex_valued=True))
    return FourF(grid, LIGHT, FOCUS, masks, **options)


def cascade(fused: bool) -> Cascade:
    """Odd and even stops, upright and inverted, unequal focal lengths."""
    first = four_f(ODD, stop=(4, 5), masks=KernelMask(kernels(True, (3, 2))), second_focal_length=50 * mm)
    second = four_f(first.output_grid, stop=(3, 4), masks=KernelMask(kernels(False, (4, 3))))
    third = four_f(second.output_grid, masks=PhaseMask(uniform(2, 4, 3, 4)), invert_output=False)
    return Cascade([first, second, third], fused=fused)


def aberration(grid: Grid) -> Aberration:
    """Tilt, defocus and coma of random size."""
    return Aberration(
        grid, 0.9 * min(grid.extent) * m, dict(zip((3, 4, 8), uniform(3).tolist(), strict=True))
    )


def four_f_with_pupil(**options: Any) -> FourF:
    plane = four_f().fourier_grid
    pupil = nn.Sequential(ApodisedStop(plane, 4 * mm, 0.6), aberration(plane))
    return four_f(pupil=pupil, **options)


Channels = tuple[int, int]  # C_out, C_in


def mask_values(channels: Channels = ARMS) -> Tensor:
    return uniform(*channels, 4, 5) * torch.exp(6j * uniform(*channels, 4, 5))


def two_stages(grid: Grid, channels: Channels) -> Cascade:
    first = four_f(grid, stop=(4, 5), masks=KernelMask(kernels(True, (2, channels[1]))))
    return Cascade([first, four_f(first.output_grid, masks=PhaseMask(uniform(channels[0], 2, 3, 4)))])


def spoilt(grid: Grid, masks: MaskBank, dead: Tensor | None = None, **relief: Any) -> Perturbed:
    """All errors at once, each of them trained."""
    errors = {
        "mask_shift": torch.tensor([90e-6, -60e-6]),
        "mask_rotation": torch.tensor(0.1),
        "mask_scale": torch.tensor(1.02),
        "axial_shift": torch.tensor(2e-3),
        "wavelength": torch.tensor(541e-9),
        "focal_length_error": torch.tensor(-0.03),
    }
    trained: dict[str, Any] = {name: nn.Parameter(value.double()) for name, value in errors.items()}
    return perturbed(four_f(grid, masks=masks, stop=(4, 4)), dead_pixels=dead, **trained, **relief)


def relief(grid: Grid, channels: Channels) -> Perturbed:
    depth, index = (nn.Parameter(torch.tensor(value, dtype=torch.float64)) for value in (0.93, 1.01))
    return spoilt(grid, PhaseMask(6 * uniform(*channels, 4, 5)), phase_scale=depth, index_ratio=index)


def dead() -> Tensor:
    return torch.arange(16).reshape(4, 4) % 7 == 3


def hologram(grid: Grid, channels: Channels) -> OffAxisReadout:
    """As coarse as the terms of the hologram allow, with the carrier along x."""
    height, width = grid.shape
    periods = width + width // 2
    fine = Grid.from_si((height, 2 * periods + 1), (grid.spacing[0], grid.extent[1] / (2 * periods + 1)))
    detector = IntensityDetector(fine, (height, 2 * (periods + width // 2) + 1))
    return OffAxisReadout(grid, detector, "10 nW", (0, periods))


def camera(grid: Grid, channels: Channels) -> Camera:
    sensor = Sensor(0.7, math.inf, 0.0, 10.0, 24, offset=3.0, prnu=0.05, dsnu=4.0)
    return Camera(grid, (2, 3), sensor, LIGHT, "1 ms", noise=False)


@dataclass(frozen=True)
class Case:
    """How to build an element, the shape of one input, and the areas of a sample before and behind."""

    name: str
    build: Callable[[], Any]
    shape: tuple[int, ...] = (*ARMS, 5, 6)
    areas: Callable[[Any], tuple[float, float]] = lambda element: (1.0, 1.0)
    complex_input: bool = True
    complex_linear: bool = True
    true_gradient: bool = True  # False where it passes straight through a rounding, or where there is a kink

    def make(self, seed: int = 0) -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.build().double()

    def example(self, batch: int = 3, seed: int = 7) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return field(batch, *self.shape) if self.complex_input else uniform(batch, *self.shape)


def grids(element: Any) -> tuple[float, float]:
    return element.grid.cell_area, element.output_grid.cell_area


def pixels(element: Any) -> tuple[float, float]:
    return element.grid.cell_area, element.pixel_grid.cell_area


def display(element: AmplitudeEncoding) -> tuple[float, float]:
    """A white picture is given the power of the illumination."""
    return element.power / math.prod(element.grid.shape), element.grid.cell_area


def system(name: str, build: Callable[[], Any], shape: tuple[int, int] = (5, 6)) -> Case:
    return Case(name, build, (2, *shape), grids)


def everywhere(
    name: str,
    build: Callable[[Grid, Channels], Any],
    areas: Callable[[Any], tuple[float, float]] = Case.areas,
    arms: bool = False,
    **options: bool,
) -> list[Case]:
    """One case for each of ``PLACES``: of light in the arms of a bank, or of the light that comes in."""
    return [
        Case(
            f"{name}, {grid.shape[0]} x {grid.shape[1]}, {channels[1]} -> {channels[0]}",
            partial(build, grid, channels),
            (*(channels if arms else channels[1:]), *grid.shape),
            areas,
            **options,
        )
        for grid, channels in PLACES
    ]


def beam(light: GaussianIllumination) -> tuple[float, float]:
    """The axis of the beam, where it is brightest, falls on a sample."""
    return 2 * light.power / (math.pi * light.waist**2) * light.grid.cell_area, light.grid.cell_area


def trained_errors() -> ChannelErrors:
    return ChannelErrors(ARMS, *(nn.Parameter(0.3 * uniform(*ARMS)) for _ in range(3)))


CASES = [
    Case("stop odd", lambda: LowPassStop((3, 5)), (2, 5, 6)),
    Case("stop even", lambda: LowPassStop((4, 4)), (2, 5, 6)),
    Case("stop as large as the plane", lambda: LowPassStop((5, 6)), (2, 5, 6)),
    Case("fan-out", lambda: FanOut(3), (2, 5, 6)),
    Case("sum", CoherentSum),
    Case("kernels real, correlation", lambda: KernelMask(kernels(), "correlation")),
    Case("kernels real, convolution", lambda: KernelMask(kernels(), "convolution")),
    Case("kernels complex, correlation", lambda: KernelMask(kernels(True), "correlation")),
    Case("kernels complex, convolution", lambda: KernelMask(kernels(True), "convolution")),
    Case(
        "complex mask", lambda: ComplexMask(uniform(*ARMS, 3, 5) * torch.exp(1j * uniform(*ARMS, 3, 5)), True)
    ),
    Case("complex mask, grown", grown_mask),
    Case("phase mask", lambda: PhaseMask(6 * uniform(*ARMS, 5, 6))),
    Case("phase mask, levels", lambda: PhaseMask(6 * uniform(*ARMS, 5, 4), levels=4), true_gradient=False),
    Case("amplitude mask", lambda: AmplitudeMask(0.1 + 0.8 * uniform(*ARMS, 5, 6))),
    Case("binary mask", lambda: BinaryMask(field(*ARMS, 5, 6).real), true_gradient=False),
    Case("binary mask, soft", lambda: BinaryMask(field(*ARMS, 3, 6).real, "phase", 0.5, soft=True)),
    Case("lookup mask", lambda: LookupMask(field(*ARMS, 5, 6), REACHABLE), true_gradient=False),
    Case("lookup mask, soft", lambda: LookupMask(field(*ARMS, 4, 5), REACHABLE, 0.3, soft=True)),
    Case("pixels with gaps", lambda: Pixelated(PhaseMask(6 * uniform(*ARMS, 1, 2)), 3, 1 / 9, 0.5 - 0.3j)),
    Case("aperture, round and grey", lambda: Aperture(ODD_EVEN, 33 * um, edge="grey"), (2, 5, 6)),
    Case(
        "aperture, hard and off axis",
        lambda: Aperture(EVEN_ODD, width=(9 * um, 22 * um), decentre=(8 * um, 10 * um)),
        (2, 6, 5),
    ),
    Case("apodised stop", lambda: ApodisedStop(EVEN_ODD, 35 * um, 0.7), (2, 6, 5)),
    Case("aberration", lambda: aberration(ODD_EVEN), (2, 5, 6)),
    Case("guard band", lambda: GuardBand((8, 7)), (2, 5, 6)),
    Case("window", lambda: Window((4, 3)), (2, 5, 6)),
    system("4f ideal", lambda: four_f(stop=(3, 4))),
    system("4f bound", lambda: four_f(stop=(4, 5), combiner="bound", invert_output=False)),
    system(
        "4f beam splitter", lambda: four_f(stop=(4, 4), combiner="beam_splitter", second_focal_length=30 * mm)
    ),
    system(
        "4f real kernels, no stop", lambda: four_f(masks=KernelMask(kernels()), second_focal_length=250 * mm)
    ),
    system("4f even x odd", lambda: four_f(EVEN_ODD, stop=(4, 3), invert_output=False), (6, 5)),
    system("4f even", lambda: four_f(EVEN, stop=(4, 4)), (4, 6)),
    system("4f odd", lambda: four_f(ODD, stop=(5, 3), combiner="bound"), (5, 7)),
    system("4f phase masks", lambda: four_f(masks=PhaseMask(6 * uniform(*ARMS, 3, 3)))),
    system("4f with a pupil", lambda: four_f_with_pupil(stop=(4, 5), combiner="bound")),
    system("cascade fused", lambda: cascade(fused=True), (5, 7)),
    system("cascade layered", lambda: cascade(fused=False), (5, 7)),
    # Its brightest value is 1 and stands on the kink of max(1, |z|).
    Case("cascade collapsed", lambda: cascade(True).collapse(), (2, 5, 7), grids, true_gradient=False),
    Case(
        "homodyne, few pixels", lambda: HomodyneReadout(ODD_EVEN, (2, 3), 0.3), (2, 5, 6), pixels, True, False
    ),
    Case(
        "homodyne, many pixels",
        lambda: HomodyneReadout(ODD_EVEN, (9, 8), 2.0),
        (2, 5, 6),
        pixels,
        True,
        False,
    ),
    Case(
        "four steps",
        lambda: FourStepReadout(IntensityDetector(ODD_EVEN, (2, 3)), "10 nW"),
        (2, 5, 6),
        pixels,
    ),
    Case(
        "balanced homodyne",
        lambda: BalancedHomodyne(IntensityDetector(ODD_EVEN, (9, 8)), "10 nW", 2.0),
        (2, 5, 6),
        pixels,
        True,
        False,
    ),
    # The plane of ODD_EVEN, sampled and cut into pixels as finely as nine periods along x need.
    Case(
        "hologram",
        lambda: OffAxisReadout(
            ODD_EVEN, IntensityDetector(Grid((5, 20), (8 * um, 3 * um)), (5, 26)), "10 nW", (0, 9)
        ),
        (2, 5, 6),
    ),
    Case("display", lambda: AmplitudeEncoding(ODD_EVEN, "3 mW"), (2, 5, 6), display, False, False),
    Case("space, angular spectrum", lambda: FreeSpace(ODD_EVEN, LIGHT, 0.3 * mm), (2, 5, 6), grids),
    Case(
        "space, Fresnel, backwards",
        lambda: FreeSpace(EVEN_ODD, LIGHT, -0.3 * mm, "fresnel"),
        (2, 6, 5),
        grids,
    ),
    Case("space, rescaled", lambda: FreeSpace(ODD_EVEN, LIGHT, 2 * mm, "fresnel_rescaled"), (2, 5, 6), grids),
    Case(
        "space beyond its band", lambda: FreeSpace(ODD_EVEN, LIGHT, 3 * mm, cutoff=5 / mm), (2, 5, 6), grids
    ),
    Case("thin lens", lambda: ThinLens(EVEN_ODD, LIGHT, 3 * mm, diameter=33 * um), (2, 6, 5), grids),
    Case("prism", lambda: Prism(ODD_EVEN, (3e3, -5e3)), (2, 5, 6)),
    system("4f perturbed, kernels", lambda: spoilt(ODD_EVEN, KernelMask(kernels(True)))),
    system("4f perturbed, with dead pixels", lambda: spoilt(ODD_EVEN, ComplexMask(mask_values()), dead())),
    *everywhere("lens", lambda grid, channels: FourierLens(grid, LIGHT, FOCUS), grids),
    *everywhere("stop", lambda grid, channels: LowPassStop((3, 4))),
    *everywhere("fan-out", lambda grid, channels: FanOut(channels[0])),
    *everywhere("sum", lambda grid, channels: CoherentSum(), arms=True),
    *everywhere("kernels", lambda grid, channels: KernelMask(kernels(True, channels)), arms=True),
    *everywhere("complex mask", lambda grid, channels: ComplexMask(mask_values(channels), True), arms=True),
    *everywhere(
        "phase mask", lambda grid, channels: PhaseMask(6 * uniform(*channels, *grid.shape)), arms=True
    ),
    *everywhere("amplitude mask", lambda grid, channels: AmplitudeMask(uniform(*channels, 3, 4)), arms=True),
    *everywhere(
        "binary mask, soft", lambda grid, channels: BinaryMask(uniform(*channels, 4, 3), soft=True), arms=True
    ),
    *everywhere(
        "lookup mask, soft",
        lambda grid, channels: LookupMask(field(*channels, 4, 5), REACHABLE, 0.3, soft=True),
        arms=True,
    ),
    *everywhere(
        "pixels", lambda grid, channels: Pixelated(PhaseMask(uniform(*channels, 1, 1)), 3, 1 / 9), arms=True
    ),
    *everywhere("aperture", lambda grid, channels: Aperture(grid, 23 * um, edge="grey")),
    *everywhere("apodised stop", lambda grid, channels: ApodisedStop(grid, 23 * um, 0.7)),
    *everywhere("aberration", lambda grid, channels: aberration(grid)),
    *everywhere("guard band", lambda grid, channels: GuardBand((8, 9))),
    *everywhere("window", lambda grid, channels: Window((4, 3))),
    *everywhere(
        "4f ideal", lambda grid, channels: four_f(grid, masks=KernelMask(kernels(True, channels))), grids
    ),
    *everywhere("cascade", two_stages, grids),
    *everywhere("4f perturbed", relief, grids),
    *everywhere(
        "homodyne", lambda grid, channels: HomodyneReadout(grid, (3, 2), 0.3), pixels, complex_linear=False
    ),
    *everywhere(
        "four steps", lambda grid, channels: FourStepReadout(IntensityDetector(grid, (9, 8)), "10 nW"), pixels
    ),
    *everywhere(
        "balanced homodyne",
        lambda grid, channels: BalancedHomodyne(IntensityDetector(grid, (2, 3)), "10 nW", 2.0),
        pixels,
        complex_linear=False,
    ),
    *everywhere("hologram", hologram),
    *everywhere(
        "display",
        lambda grid, channels: AmplitudeEncoding(grid, "3 mW"),
        display,
        complex_input=False,
        complex_linear=False,
    ),
    *everywhere("space", lambda grid, channels: FreeSpace(grid, LIGHT, 0.3 * mm), grids),
    *everywhere("thin lens", lambda grid, channels: ThinLens(grid, LIGHT, 3 * mm, diameter=33 * um), grids),
    *everywhere("prism", lambda grid, channels: Prism(grid, (3e3, -5e3))),
    Case("even light", lambda: EvenIllumination(ODD_EVEN, "3 mW"), (2, 5, 6), display),
    Case("Gaussian light", lambda: GaussianIllumination(ODD_EVEN, 30 * um, "3 mW"), (2, 5, 6), beam),
    Case(
        "display in a Gaussian beam",
        lambda: AmplitudeEncoding(ODD_EVEN, illumination=GaussianIllumination(ODD_EVEN, 30 * um, "3 mW")),
        (2, 5, 6),
        lambda element: beam(element.illumination),
        False,
        False,
    ),
    Case(
        "lens, object elsewhere",
        lambda: FourierLens(ODD_EVEN, LIGHT, 0.5 * mm, (0.4 + 0.2 * float(uniform(1))) * mm, trainable=True),
        (2, 5, 6),
        grids,
    ),
    Case("stop that keeps the mean", lambda: LowPassStop((4, 3), "mean"), (2, 5, 6)),
    Case(
        "thin lens, off axis",
        lambda: ThinLens(EVEN_ODD, LIGHT, 3 * mm, numerical_aperture=0.0052, decentre=(5 * um, -4 * um)),
        (2, 6, 5),
        grids,
    ),
    Case("polariser", lambda: LinearPolariser(nn.Parameter(uniform(5, 6))), (2, 2, 5, 6)),
    Case(
        "wave plate",
        lambda: WavePlate(nn.Parameter(uniform()), nn.Parameter(6 * uniform(2, 5, 6))),
        (2, 2, 5, 6),
    ),
    Case(
        "masks for one component",
        lambda: JonesMask(ODD_EVEN, PhaseMask(6 * uniform(*ARMS, 5, 6)), 0.3j, "bound"),
        (2, 2, 5, 6),
    ),
    Case(
        "masks for both components",
        lambda: JonesMask(ODD_EVEN, KernelMask(kernels()), KernelMask(kernels(True)), "bound"),
        (2, 2, 5, 6),
    ),
    Case(
        "a system for each component",
        lambda: PerPolarisation(four_f(stop=(3, 4)), four_f(stop=(3, 4), combiner="bound")),
        (2, 2, 5, 6),
        lambda element: grids(element.x),
    ),
    Case(
        "lossy sum",
        lambda: CoherentSum("ideal", 0.7, ChannelErrors(ARMS, -0.3 * uniform(*ARMS), uniform(*ARMS), 0.3)),
    ),
    Case("lossy fan-out", lambda: FanOut(3, 0.7), (2, 5, 6)),
    Case("errors of the arms", lambda: ChannelErrors(ARMS, nn.Parameter(uniform(*ARMS) - 0.5), 0.7, 0.5)),
    Case("clipped bank", lambda: ClippedMask(PhaseMask(6 * uniform(*ARMS, 5, 6)))),
    system("4f with errors", lambda: four_f(combiner=CoherentSum("ideal", 0.2, trained_errors()))),
    system("4f tree with errors", lambda: four_f(combiner=CoherentSum("beam_splitter", 0, trained_errors()))),
    system("4f clipped", lambda: four_f(masks=ClippedMask(KernelMask(kernels(True))), combiner=1.0)),
    Case(
        "4f tiled",
        lambda: four_f(ODD, masks=TiledMask(field(3, 1, 2, 2), TileLayout((4, 1), (2, 2), outputs=(1, 3)))),
        (1, 5, 7),
        grids,
    ),
]
SQUARE_LAW = [
    *everywhere("detector, few pixels", lambda grid, channels: IntensityDetector(grid, (2, 3))),
    *everywhere("detector, many pixels", lambda grid, channels: IntensityDetector(grid, (9, 8))),
]
# Neither linear nor a square: rounded to some million digital numbers, of which float32 may round one anew.
ROUNDED = everywhere("camera", camera)

linear = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
square_law = pytest.mark.parametrize("case", SQUARE_LAW, ids=lambda case: case.name)
smooth = pytest.mark.parametrize("case", CASES + SQUARE_LAW, ids=lambda case: case.name)
every = pytest.mark.parametrize("case", CASES + SQUARE_LAW + ROUNDED, ids=lambda case: case.name)


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).detach().abs().max() / expected.detach().abs().max())


def as_real(values: Tensor) -> Tensor:
    return torch.view_as_real(values) if values.is_complex() else values


def matrix(case: Case, element: nn.Module) -> Tensor:
    """The element written out, one column per basis field; over the reals if it is only real-linear."""
    size = math.prod(case.shape)
    basis = torch.eye(size, dtype=torch.complex128 if case.complex_input else torch.float64)
    if case.complex_input and not case.complex_linear:
        basis = torch.cat([basis, 1j * basis])
    with torch.no_grad():
        columns = element(basis.reshape(-1, *case.shape)).flatten(1)
    return (columns if case.complex_linear else as_real(columns).flatten(1)).mT


@linear
def test_linear_in_the_field(case: Case) -> None:
    element = case.make()
    one, other = case.example(seed=1), case.example(seed=2)
    a, b = (0.7 - 1.3j, -2.1 + 0.4j) if case.complex_linear else (0.7, -2.1)
    assert relative_error(element(a * one + b * other), a * element(one) + b * element(other)) < ROUNDING


@square_law
def test_square_law_scales_with_the_square_and_does_not_see_the_phase(case: Case) -> None:
    element, example = case.make(), case.example()
    factor = 1.7 * torch.exp(torch.tensor(2.3j, dtype=torch.complex128))
    assert relative_error(element(factor * example), 1.7**2 * element(example)) < ROUNDING


@linear
def test_adjoint(case: Case) -> None:
    """<Ax, y> = <x, A^+ y>, with A^+ from autograd: complex products for what is complex-linear."""
    element, example = case.make(), case.example(1).requires_grad_()
    output = element(example)
    other = torch.randn_like(output)
    (back,) = torch.autograd.grad(output, example, other)
    forward_product = torch.vdot(other.flatten(), output.flatten())
    adjoint_product = torch.vdot(back.flatten(), example.flatten())
    if not case.complex_linear:
        forward_product, adjoint_product = forward_product.real, adjoint_product.real
    # The sum may cancel: the error is measured against the product of the norms.
    assert abs(forward_product - adjoint_product) < ROUNDING * output.norm() * other.norm()


@linear
def test_adjoint_is_the_conjugate_transpose(case: Case) -> None:
    element = case.make()
    written_out = matrix(case, element)
    example = case.example(1).requires_grad_()
    output = element(example)
    other = torch.randn_like(output)
    (back,) = torch.autograd.grad(output, example, other)
    if case.complex_linear:
        expected = (written_out.mH @ other.flatten()).reshape(back.shape)
    else:
        half = written_out.mT @ as_real(other).flatten()
        expected = (torch.complex(*half.chunk(2)) if case.complex_input else half).reshape(back.shape)
    assert relative_error(back, expected) < ROUNDING


@linear
def test_passive(case: Case) -> None:
    """No field gains power, the worst one included."""
    element = case.make()
    area_before, area_behind = case.areas(element)
    worst = torch.linalg.matrix_norm(matrix(case, element), ord=2) ** 2 * area_behind / area_before
    assert worst <= 1 + ROUNDING
    example = case.example()
    with torch.no_grad():
        output = element(example)
    power_before = example.abs().square().flatten(1).sum(1) * area_before
    power_behind = output.abs().square().flatten(1).sum(1) * area_behind
    assert bool((power_behind <= power_before * worst * (1 + ROUNDING)).all())


@pytest.mark.parametrize(
    "case",
    [
        case
        for case in CASES
        if case.name.startswith(
            ("lens", "fan-out", "sum", "phase mask", "kernels", "guard", "4f ideal", "display", "wave plate")
        )
    ],
    ids=lambda case: case.name,
)
def test_some_field_loses_nothing(case: Case) -> None:
    """The worst field comes through whole: a lossless element, or the brightest that passive optics allow."""
    element = case.make()
    area_before, area_behind = case.areas(element)
    worst = torch.linalg.matrix_norm(matrix(case, element), ord=2) ** 2 * area_behind / area_before
    assert float(worst) == pytest.approx(1, rel=ROUNDING)


@square_law
def test_pixels_collect_the_power_of_the_field(case: Case) -> None:
    element, example = case.make(), case.example()
    power = example.abs().square().sum((-2, -1)) * element.grid.cell_area
    assert relative_error(element(example).sum((-2, -1)), power) < ROUNDING


@every
def test_a_batch_is_its_members_one_by_one(case: Case) -> None:
    element, example = case.make(), case.example(3)
    with torch.no_grad():
        together = element(example)
        alone = torch.cat([element(one[None]) for one in example])
        bare = torch.stack([element(one) for one in example])
        nested = element(torch.stack([example, example.flip(0)]))
    assert relative_error(together, alone) < ROUNDING
    assert relative_error(together, bare) < ROUNDING
    assert relative_error(nested, torch.stack([together, together.flip(0)])) < ROUNDING


@smooth
def test_gradient_of_the_input(case: Case) -> None:
    # The fast mode compares one random direction; the tolerance is that of a central difference of step 1e-6.
    assert torch.autograd.gradcheck(case.make(), (case.example(1).requires_grad_(),), fast_mode=True)


WITH_PARAMETERS = [
    case for case in CASES if case.true_gradient and any(True for _ in case.make().parameters())
]


@pytest.mark.parametrize("case", WITH_PARAMETERS, ids=lambda case: case.name)
def test_gradient_of_every_parameter(case: Case) -> None:
    """Each is varied by a part of itself: a wavelength has no room for the steps of a phase."""
    element, example = case.make(), case.example(1)
    values = {name: parameter.detach() for name, parameter in element.named_parameters()}
    parts = [torch.zeros_like(value, requires_grad=True) for value in values.values()]

    def output(*parts: Tensor) -> Tensor:
        varied = {name: value * (1 + part) for (name, value), part in zip(values.items(), parts, strict=True)}
        return torch.func.functional_call(element, varied, (example,))

    assert torch.autograd.gradcheck(output, parts, fast_mode=True)


def test_gradient_passes_straight_through_the_levels() -> None:
    """The gradient of a mask in levels is that of the continuous mask with the rounded phase."""
    phase = 6 * uniform(*ARMS, 5, 6)
    example = field(*ARMS, 5, 6)
    step = 2 * math.pi / 8
    stepped, rounded = PhaseMask(phase, levels=8), PhaseMask(torch.round(phase / step) * step)
    target = field(*ARMS, 5, 6)
    gradients = []
    for mask in (stepped, rounded):
        (mask(example) - target).abs().square().sum().backward()
        gradients.append(mask.values.grad)
    assert relative_error(*gradients) < ROUNDING


@every
def test_precision_is_kept(case: Case) -> None:
    """complex64 gives complex64, complex128 gives complex128, and they agree to float32 rounding."""
    exact, single = case.make(), case.make().float()
    example = case.example()
    with torch.no_grad():
        wide = exact(example)
        narrow = single(example.to(torch.complex64 if case.complex_input else torch.float32))
    assert wide.dtype in (torch.complex128, torch.float64)
    assert narrow.dtype == {torch.complex128: torch.complex64, torch.float64: torch.float32}[wide.dtype]
    assert relative_error(narrow.to(wide.dtype), wide) < SINGLE


@every
def test_moving_to_a_precision_changes_nothing(case: Case) -> None:
    """``element.to(torch.float64)`` casts every buffer, so none of them may be complex."""
    element, example = case.make(), case.example()
    before = element(example)
    assert torch.equal(element.to(torch.float64)(example), before)


@every
def test_device_is_kept(case: Case) -> None:
    """On the meta device a tensor that was built on another device raises."""
    element = case.make()
    if any(isinstance(part, FourF) and part.combiner.kind == "ideal" for part in element.modules()):
        pytest.skip("the exact gain asks for a value, which the meta device does not have")
    assert element.to("meta")(case.example().to("meta")).device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every
def test_same_output_on_a_gpu(case: Case) -> None:
    element, example = case.make(), case.example()
    expected = element(example)
    got = element.to("cuda")(example.to("cuda"))
    assert got.device.type == "cuda"
    assert relative_error(got.cpu(), expected) < ROUNDING


@every
def test_state_comes_back(case: Case) -> None:
    """A second element, built from other random numbers, takes the state of the first and is the same."""
    element, other, example = case.make(seed=0), case.make(seed=1), case.example()
    expected = element(example)
    if element.state_dict():
        assert relative_error(other(example), expected) > 1e-3
    file = io.BytesIO()
    torch.save(element.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(example), expected)


ABSTRACT = {MaskBank, Pupil}  # what they share is asked of their kinds
NEITHER = {PhaseEncoding}  # neither linear in the picture nor a square: its closed forms are in test_sources


def test_every_element_has_a_case() -> None:
    public = {
        part for part in vars(elements).values() if isinstance(part, type) and issubclass(part, nn.Module)
    }
    cases = {type(part) for case in CASES + SQUARE_LAW + ROUNDED for part in case.make().modules()}
    assert (public | {FourF, Cascade, Perturbed}) - ABSTRACT - NEITHER <= cases
