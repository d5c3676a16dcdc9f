"""Every element against every law. A new element is tested by one more line in ``CASES``.

The planes are small, so that an element can be written out as a matrix: its largest singular value is the
gain of the worst field there is, and nothing has to be searched for.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optics4f.cascade import Cascade
from optics4f.elements import (
    Aberration,
    AmplitudeEncoding,
    AmplitudeMask,
    Aperture,
    ApodisedStop,
    BalancedHomodyne,
    BinaryMask,
    CoherentSum,
    ComplexMask,
    FanOut,
    FourierLens,
    FourStepReadout,
    FreeSpace,
    GuardBand,
    HomodyneReadout,
    IntensityDetector,
    KernelMask,
    LookupMask,
    LowPassStop,
    OffAxisReadout,
    PhaseMask,
    Pixelated,
    Prism,
    ThinLens,
    Window,
)
from optics4f.grid import Grid
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
REACHABLE = torch.polar(torch.tensor([1, 0.9, 0.7, 0.4]), torch.tensor([0.0, 1.2, 2.9, 4.4]))


def uniform(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64)


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


CASES = [
    Case("lens odd x even", lambda: FourierLens(ODD_EVEN, LIGHT, FOCUS), (2, 5, 6), grids),
    Case("lens even x odd", lambda: FourierLens(EVEN_ODD, LIGHT, FOCUS), (2, 6, 5), grids),
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
]
SQUARE_LAW = [
    Case("detector, few pixels", lambda: IntensityDetector(ODD_EVEN, (2, 3)), (2, 5, 6)),
    Case("detector, many pixels", lambda: IntensityDetector(EVEN_ODD, (9, 8)), (2, 6, 5)),
]

linear = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
square_law = pytest.mark.parametrize("case", SQUARE_LAW, ids=lambda case: case.name)
every = pytest.mark.parametrize("case", CASES + SQUARE_LAW, ids=lambda case: case.name)


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
            ("lens", "fan-out", "sum", "phase mask", "kernels", "guard", "4f ideal", "display")
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
    assert relative_error(together, alone) < ROUNDING
    assert relative_error(together, bare) < ROUNDING


@every
def test_gradient_of_the_input(case: Case) -> None:
    # The fast mode compares one random direction; the tolerance is that of a central difference of step 1e-6.
    assert torch.autograd.gradcheck(case.make(), (case.example(1).requires_grad_(),), fast_mode=True)


WITH_PARAMETERS = [
    case for case in CASES if case.true_gradient and any(True for _ in case.make().parameters())
]


@pytest.mark.parametrize("case", WITH_PARAMETERS, ids=lambda case: case.name)
def test_gradient_of_every_parameter(case: Case) -> None:
    element, example = case.make(), case.example(1)
    names, values = zip(
        *((n, p.detach().requires_grad_()) for n, p in element.named_parameters()), strict=True
    )

    def output(*parameters: Tensor) -> Tensor:
        return torch.func.functional_call(element, dict(zip(names, parameters, strict=True)), (example,))

    assert torch.autograd.gradcheck(output, values, fast_mode=True)


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
    if isinstance(element, FourF) and element.combiner.kind == "ideal":
        pytest.skip("the exact gain asks for a value, which the meta device does not have")
    if isinstance(element, Cascade):
        pytest.skip("its stages ask for their exact gain")
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
