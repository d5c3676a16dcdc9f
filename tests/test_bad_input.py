"""What cannot be meant is refused: in one sentence that says who refuses, what was expected, and what came.

A line of ``QUANTITIES``, ``NUMBERS`` or ``REFUSED`` is one more refusal. Fields and pictures of a wrong kind
are tried on every element of the catalogue of laws, so that a new element is asked without a line here.
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from test_laws import CASES, EVEN, ODD_EVEN, ROUNDED, SQUARE_LAW, Case

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
    MaskBank,
    OffAxisReadout,
    PhaseMask,
    Pixelated,
    Prism,
    Sensor,
    ThinLens,
    Window,
)
from optics4f.grid import Grid
from optics4f.perturbation import perturbed
from optics4f.system import FourF
from optics4f.transfer import affine_residual, audit
from optics4f.units import m, mm, nm, um

LIGHT, FOCUS = 532 * nm, 100 * mm
GRID = ODD_EVEN  # 5 x 6 samples, 8 um and 10 um apart
SENSOR = Sensor(0.7, 1e4, 2.0, 0.5, 12)
ONE = torch.ones(1, 1, 1, 1)
NAN = torch.full((1, 1, 2, 2), torch.nan)
PHASES = torch.ones(3, 2, 4, 5)


def detector() -> IntensityDetector:
    return IntensityDetector(GRID, (2, 3))


def hologram(**changes: Any) -> OffAxisReadout:
    fine = Grid((5, 20), (8 * um, 3 * um))
    options: dict[str, Any] = {
        "detector": IntensityDetector(fine, (5, 26)),
        "reference_power": "1 nW",
        "periods": (0, 9),
    }
    return OffAxisReadout(GRID, **(options | changes))


def camera(**changes: Any) -> Camera:
    options = {"grid": GRID, "pixels": (2, 3), "sensor": SENSOR, "wavelength": LIGHT, "exposure_time": "1 ms"}
    return Camera(**(options | changes))


def bench(**changes: Any) -> FourF:
    options = {"grid": GRID, "wavelength": LIGHT, "focal_length": FOCUS, "masks": PhaseMask(PHASES)}
    return FourF(**(options | changes))


def refused(who: str, error: type[Exception] | tuple[type[Exception], ...], build: Callable[[], Any]) -> None:
    """One sentence: who, expected, got. What pint says of units stands before it."""
    with pytest.raises(error, match=rf"(^|\): ){re.escape(who)}\b.*: expected .*, got .*\.$") as caught:
        build()
    assert "\n" not in str(caught.value)


# ---- quantities: who asks, the unit, how to give it one; then those that may be zero or negative

QUANTITIES: list[tuple[str, str, Callable[[Any], Any]]] = [
    ("Grid spacing", "m", lambda q: Grid((4, 4), q)),
    ("Grid spacing", "m", lambda q: Grid((4, 4), (1 * um, q))),
    ("EvenIllumination power", "W", lambda q: AmplitudeEncoding(GRID, q)),
    ("FourierLens wavelength", "m", lambda q: FourierLens(GRID, q, FOCUS)),
    ("FourierLens focal_length", "m", lambda q: FourierLens(GRID, LIGHT, q)),
    ("FreeSpace wavelength", "m", lambda q: FreeSpace(GRID, q, 0.1 * mm)),
    ("FreeSpace cutoff", "1/m", lambda q: FreeSpace(GRID, LIGHT, 0.1 * mm, cutoff=q)),
    ("ThinLens wavelength", "m", lambda q: ThinLens(GRID, q, 3 * mm)),
    ("ThinLens focal_length", "m", lambda q: ThinLens(GRID, LIGHT, q)),
    ("ThinLens diameter", "m", lambda q: ThinLens(GRID, LIGHT, 3 * mm, q)),
    ("Aperture diameter", "m", lambda q: Aperture(GRID, q)),
    ("Aperture width", "m", lambda q: Aperture(GRID, width=q)),
    ("Aperture width", "m", lambda q: Aperture(GRID, width=(9 * um, q))),
    ("ApodisedStop diameter", "m", lambda q: ApodisedStop(GRID, q)),
    ("Aberration diameter", "m", lambda q: Aberration(GRID, q, {4: 0.1})),
    ("ComplexMask pitch", "m", lambda q: ComplexMask(ONE, pitch=q)),
    ("PhaseMask pitch", "m", lambda q: PhaseMask(ONE, pitch=(1 * um, q))),
    ("AmplitudeMask pitch", "m", lambda q: AmplitudeMask(ONE, pitch=q)),
    ("BinaryMask pitch", "m", lambda q: BinaryMask(ONE, pitch=q)),
    ("LookupMask pitch", "m", lambda q: LookupMask(ONE, torch.ones(2), pitch=q)),
    ("Sensor pixel_pitch", "m", lambda q: SENSOR.with_numbers(pixel_pitch=q)),
    ("Camera wavelength", "m", lambda q: camera(wavelength=q)),
    ("Camera exposure_time", "s", lambda q: camera(exposure_time=q)),
    ("FourStepReadout reference_power", "W", lambda q: FourStepReadout(detector(), q)),
    ("BalancedHomodyne oscillator_power", "W", lambda q: BalancedHomodyne(detector(), q)),
    ("OffAxisReadout reference_power", "W", lambda q: hologram(reference_power=q)),
    ("FourierLens wavelength", "m", lambda q: bench(wavelength=q)),
    ("FourierLens focal_length", "m", lambda q: bench(focal_length=q)),
    ("FourF second_focal_length", "m", lambda q: bench(second_focal_length=q)),
    ("perturbed wavelength", "m", lambda q: perturbed(bench(), wavelength=q)),
]
SIGNED: list[tuple[str, str, Callable[[Any], Any]]] = [
    ("FreeSpace distance", "m", lambda q: FreeSpace(GRID, LIGHT, q)),
    ("Aperture decentre", "m", lambda q: Aperture(GRID, 9 * um, decentre=(0 * um, q))),
    ("ApodisedStop decentre", "m", lambda q: ApodisedStop(GRID, 9 * um, decentre=(q, 0 * um))),
    ("Sensor dark_current", "1/s", lambda q: SENSOR.with_numbers(dark_current=q)),
    ("perturbed mask_shift", "m", lambda q: perturbed(bench(), mask_shift=(0 * um, q))),
    ("perturbed mask_rotation", "rad", lambda q: perturbed(bench(), mask_rotation=q)),
    ("perturbed axial_shift", "m", lambda q: perturbed(bench(), axial_shift=q)),
]


def quantities() -> Iterator[Any]:
    for number, (who, unit, build) in enumerate(QUANTITIES + SIGNED):
        values = ["nan", "inf"] + (["0", "-1e-5"] if number < len(QUANTITIES) else [])
        kinds: list[Any] = ["3 kg", 1e-5, 5]
        if unit != "rad":  # to pint a radian is a number
            kinds.append("1e-5")
        if not who.startswith("perturbed"):  # which takes a tensor as it is, in SI units
            kinds.append(torch.tensor(1e-5))
        for error, value in [
            *((ValueError, f"{v} {unit}") for v in values),
            *((TypeError, k) for k in kinds),
        ]:
            yield pytest.param(who, error, build, value, id=f"{number} {who} {value}")


@pytest.mark.parametrize(("who", "error", "build", "value"), list(quantities()))
def test_quantities(who: str, error: type[Exception], build: Callable[[Any], Any], value: Any) -> None:
    refused(who, error, lambda: build(value))


# ---- plain numbers: who asks, how to give it one, some that do not fit

NUMBERS: list[tuple[str, Callable[[Any], Any], list[Any]]] = [
    ("Sensor quantum_efficiency", lambda x: SENSOR.with_numbers(quantum_efficiency=x), [0, -0.1, 1.1]),
    ("Sensor full_well", lambda x: SENSOR.with_numbers(full_well=x), [0, -1]),
    ("Sensor dark_noise", lambda x: SENSOR.with_numbers(dark_noise=x), [-1, math.inf]),
    ("Sensor gain", lambda x: SENSOR.with_numbers(gain=x), [0, -1, math.inf]),
    ("Sensor offset", lambda x: SENSOR.with_numbers(offset=x), [-1, math.inf]),
    ("Sensor prnu", lambda x: SENSOR.with_numbers(prnu=x), [-0.1, 1]),
    ("Sensor dsnu", lambda x: SENSOR.with_numbers(dsnu=x), [-1, math.inf]),
    ("ApodisedStop", lambda x: ApodisedStop(GRID, 9 * um, x), [0, -1, 1.01, math.inf]),
    ("HomodyneReadout phase", lambda x: HomodyneReadout(GRID, (2, 2), x), [math.inf]),
    ("BalancedHomodyne phase", lambda x: BalancedHomodyne(detector(), "1 nW", x), [math.inf]),
    ("Prism frequency", lambda x: Prism(GRID, (0, x)), [math.inf]),
    ("perturbed mask_scale", lambda x: perturbed(bench(), mask_scale=x), [0, -1, math.inf]),
    ("perturbed focal_length_error", lambda x: perturbed(bench(), focal_length_error=x), [-1, math.inf]),
    ("perturbed phase_scale", lambda x: perturbed(bench(), phase_scale=x), [math.inf]),
    ("perturbed index_ratio", lambda x: perturbed(bench(), wavelength=LIGHT, index_ratio=x), [0, -1]),
]


@pytest.mark.parametrize(
    ("who", "error", "build", "value"),
    [
        pytest.param(who, error, build, value, id=f"{who} {value}")
        for who, build, values in NUMBERS
        for error, value in [
            *((ValueError, value) for value in (*values, math.nan)),
            *((TypeError, value) for value in ("1", True, 1 * mm, [1.0])),
        ]
    ],
)
def test_plain_numbers(who: str, error: type[Exception], build: Callable[[Any], Any], value: Any) -> None:
    refused(who, error, lambda: build(value))


# ---- numbers of samples, pixels and channels

SHAPES: list[Any] = [
    ("Grid", lambda shape: Grid(shape, 8 * um)),
    ("IntensityDetector", lambda shape: IntensityDetector(GRID, shape)),
    ("HomodyneReadout", lambda shape: HomodyneReadout(GRID, shape)),
    ("IntensityDetector", lambda shape: camera(pixels=shape)),
    ("GuardBand", GuardBand),
    ("Window", Window),
    ("LowPassStop", LowPassStop),
    ("LowPassStop", lambda shape: bench(stop=shape)),
]


@pytest.mark.parametrize(("who", "build"), SHAPES)
@pytest.mark.parametrize("shape", [(0, 4), (4, -1), (4.0, 4), (True, 4), (4,), (4, 4, 4), 4, "44"], ids=repr)
def test_shapes(who: str, build: Callable[[Any], Any], shape: Any) -> None:
    refused(who, (TypeError, ValueError), lambda: build(shape))


# ---- seeds

SEEDS: list[tuple[str, Callable[[Any], Any]]] = [
    ("Sensor", lambda seed: SENSOR.with_numbers(seed=seed)),
    ("Camera", lambda seed: camera(seed=seed)),
    ("Camera", lambda seed: camera().restart(seed)),
    ("perturbed", lambda seed: perturbed(bench(), dead_pixels=0.1, seed=seed)),
    ("affine_residual", lambda seed: affine_residual(lambda x: x, torch.rand(3, 2), seed)),
]


@pytest.mark.parametrize(("who", "build"), SEEDS, ids=lambda item: str(item)[:9])
@pytest.mark.parametrize("seed", [1.0, "1", True, None, -1, 2**64], ids=repr)
def test_seeds(who: str, build: Callable[[Any], Any], seed: Any) -> None:
    refused(f"{who} seed", ValueError if type(seed) is int else TypeError, lambda: build(seed))


# ---- masks

BANKS: list[tuple[str, Callable[[Any], Any]]] = [
    ("KernelMask", KernelMask),
    ("ComplexMask", ComplexMask),
    ("PhaseMask", PhaseMask),
    ("AmplitudeMask", AmplitudeMask),
    ("BinaryMask", BinaryMask),
    ("LookupMask", lambda values: LookupMask(values, torch.ones(2))),
]
BAD_BANKS = [
    (TypeError, ONE.long()),
    (TypeError, ONE.bool()),
    (TypeError, [[[[1.0]]]]),
    (ValueError, NAN),
    (ValueError, NAN.nan_to_num(math.inf)),
    (ValueError, torch.complex(NAN, NAN)),
    (ValueError, ONE[0]),
    (ValueError, torch.ones(1, 0, 2, 2)),
]


@pytest.mark.parametrize(("who", "build"), BANKS, ids=lambda item: str(item)[:13])
@pytest.mark.parametrize(("error", "values"), BAD_BANKS, ids=[str(n) for n in range(len(BAD_BANKS))])
def test_banks_of_masks(who: str, build: Callable[[Any], Any], error: type[Exception], values: Any) -> None:
    refused(who, error, lambda: build(values))


# ---- what does not fit together, and options that are not known

COMPLEX = torch.complex(ONE, ONE) / 2
REFUSED: list[tuple[str, type[Exception], Callable[[], Any]]] = [
    ("ComplexMask", ValueError, lambda: ComplexMask(1.01 * ONE)),
    ("ComplexMask pitch", TypeError, lambda: ComplexMask(ONE, pitch=(1 * um,))),
    ("PhaseMask", ValueError, lambda: PhaseMask(COMPLEX)),
    ("PhaseMask", ValueError, lambda: PhaseMask(ONE, levels=1)),
    ("PhaseMask levels", TypeError, lambda: PhaseMask(ONE, levels=2.5)),  # type: ignore[arg-type]
    ("PhaseMask levels", TypeError, lambda: PhaseMask(ONE, levels="4")),  # type: ignore[arg-type]
    ("AmplitudeMask", ValueError, lambda: AmplitudeMask(COMPLEX)),
    ("AmplitudeMask", ValueError, lambda: AmplitudeMask(-0.1 * ONE)),
    ("AmplitudeMask", ValueError, lambda: AmplitudeMask(1.1 * ONE)),
    ("BinaryMask", TypeError, lambda: BinaryMask(COMPLEX)),
    ("BinaryMask", ValueError, lambda: BinaryMask(ONE, temperature=0)),
    ("LookupMask", ValueError, lambda: LookupMask(COMPLEX, torch.ones(0))),
    ("LookupMask", ValueError, lambda: LookupMask(COMPLEX, torch.tensor([torch.nan]))),
    ("LookupMask", ValueError, lambda: LookupMask(COMPLEX, 1.1 * torch.ones(2))),
    ("Pixelated", TypeError, lambda: Pixelated(KernelMask(ONE), 3)),
    ("Pixelated", ValueError, lambda: Pixelated(PhaseMask(ONE), 0)),
    ("Pixelated", ValueError, lambda: Pixelated(PhaseMask(ONE), 3, 0.5)),
    ("Pixelated", ValueError, lambda: Pixelated(PhaseMask(ONE), 3, 1.5)),
    ("Pixelated", ValueError, lambda: Pixelated(PhaseMask(ONE), 3, dead=math.nan)),
    ("KernelMask", ValueError, lambda: KernelMask(torch.ones(1, 1, 6, 6)).transmittance(GRID.shape)),
    ("FanOut", ValueError, lambda: FanOut(0)),
    ("Sensor bits", ValueError, lambda: SENSOR.with_numbers(bits=0)),
    ("Sensor bits", ValueError, lambda: SENSOR.with_numbers(bits=25)),
    ("Sensor bits", ValueError, lambda: SENSOR.with_numbers(bits=8.0)),
    ("Sensor dark_current", ValueError, lambda: SENSOR.with_numbers(dark_current="-1 1/s")),
    ("Camera", TypeError, lambda: camera(sensor="kaf_3200me")),
    ("Camera", ValueError, lambda: camera(sensor=SENSOR.with_numbers(pixel_pitch="3 um"))),
    ("BalancedHomodyne", ValueError, lambda: BalancedHomodyne(detector(), "1 nW", other=camera(grid=EVEN))),
    ("OffAxisReadout", ValueError, lambda: hologram(detector=detector())),
    ("OffAxisReadout", ValueError, lambda: hologram(periods=(9, 9))),
    ("OffAxisReadout", TypeError, lambda: hologram(periods=(0, 9.0))),
    ("OffAxisReadout", TypeError, lambda: hologram(periods=(9,))),
    ("Prism", TypeError, lambda: Prism(GRID, 3e3)),  # type: ignore[arg-type]
    ("Aperture", ValueError, lambda: Aperture(GRID, 1 * mm)),
    ("Aperture", ValueError, lambda: Aperture(GRID, width=(9 * um, 1 * mm))),
    ("Aperture", ValueError, lambda: Aperture(GRID, 9 * um, decentre=(0 * um, 29 * um))),
    ("Aperture", ValueError, lambda: Aperture(GRID)),
    ("Aperture", ValueError, lambda: Aperture(GRID, 9 * um, 9 * um)),
    ("Aperture", TypeError, lambda: Aperture(GRID, (9 * um, 9 * um))),
    ("Aperture", TypeError, lambda: Aperture(GRID, 9 * um, decentre=0 * um)),
    ("ApodisedStop", ValueError, lambda: ApodisedStop(GRID, 1 * mm)),
    ("Aberration", ValueError, lambda: Aberration(GRID, 1 * mm, {4: 0.1})),
    ("Aberration", ValueError, lambda: Aberration(GRID, 1 * um, {4: 0.1})),
    ("Aberration", ValueError, lambda: Aberration(GRID, 30 * um, {})),
    ("Aberration", ValueError, lambda: Aberration(GRID, 30 * um, {4: math.nan})),
    ("Aberration", TypeError, lambda: Aberration(GRID, 30 * um, [0.1])),  # type: ignore[arg-type]
    ("Aberration", TypeError, lambda: Aberration(GRID, 30 * um, {4: "0.1"})),  # type: ignore[dict-item]
    ("zernike", ValueError, lambda: Aberration(GRID, 30 * um, {0: 0.1})),
    ("zernike", TypeError, lambda: Aberration(GRID, 30 * um, {4.0: 0.1})),  # type: ignore[dict-item]
    ("FreeSpace", ValueError, lambda: FreeSpace(GRID, LIGHT, 2 * mm, "fresnel_rescaled", cutoff=5 / mm)),
    ("angular_spectrum", ValueError, lambda: FreeSpace(GRID, LIGHT, 1 * m)),
    ("thin_lens", ValueError, lambda: ThinLens(GRID, LIGHT, 0.01 * mm)),
    ("FourF masks", TypeError, lambda: bench(masks=PHASES)),
    ("PhaseMask", ValueError, lambda: bench(masks=PhaseMask(torch.ones(1, 1, 6, 6)))),
    ("PhaseMask", ValueError, lambda: bench(masks=PhaseMask(PHASES, pitch=9 * um))),
    ("KernelMask", ValueError, lambda: bench(masks=KernelMask(torch.ones(1, 1, 6, 6)))),
    ("FourF", ValueError, lambda: bench(stop=(6, 6))),
    ("FourF", ValueError, lambda: bench(pupil=Aperture(GRID, 9 * um))),
    ("FourF", ValueError, lambda: bench(pupil=Prism(GRID, (0, 0)))),
    ("CoherentSum", ValueError, lambda: bench(combiner=0)),
    ("CoherentSum", ValueError, lambda: bench(combiner=math.nan)),
    ("Cascade", ValueError, lambda: Cascade([])),
    ("Cascade", TypeError, lambda: Cascade([KernelMask(ONE)])),  # type: ignore[list-item]
    ("Cascade", ValueError, lambda: Cascade([bench(), bench(masks=PhaseMask(torch.ones(1, 2, 4, 5)))])),
    ("Cascade", ValueError, lambda: Cascade([bench(second_focal_length=50 * mm), square_bench()])),
    ("Cascade", ValueError, lambda: Cascade([square_bench(), square_bench(wavelength=633 * nm)])),
    ("perturbed", TypeError, lambda: perturbed(Cascade([bench()]), mask_scale=1.1)),  # type: ignore[arg-type]
    ("perturbed phase_scale", ValueError, lambda: perturbed(kernel_bench(), phase_scale=1.1)),
    ("perturbed index_ratio", ValueError, lambda: perturbed(bench(), index_ratio=1.1)),
    ("perturbed mask_shift", TypeError, lambda: perturbed(bench(), mask_shift=1 * um)),
    ("perturbed mask_shift", ValueError, lambda: perturbed(bench(), mask_shift=torch.zeros(3))),
    ("perturbed mask_scale", ValueError, lambda: perturbed(bench(), mask_scale=torch.tensor(1))),
    ("perturbed mask_scale", ValueError, lambda: perturbed(bench(), mask_scale=torch.tensor(torch.nan))),
    ("perturbed dead_pixels", ValueError, lambda: perturbed(bench(), dead_pixels=1.1)),
    ("perturbed dead_pixels", ValueError, lambda: perturbed(bench(), dead_pixels=torch.ones(5, 6))),
    ("affine_residual", TypeError, lambda: affine_residual(lambda x: x, torch.ones(3, 2).long())),
    ("affine_residual", ValueError, lambda: affine_residual(lambda x: x, torch.ones(2, 2))),
    ("audit", ValueError, lambda: audit(detector(), lambda x: x, torch.rand(3, 1, 5, 6), lambda x: x, "any")),
]


def square_bench(**changes: Any) -> FourF:
    return bench(masks=PhaseMask(torch.ones(3, 3, 4, 5)), **changes)


def kernel_bench() -> FourF:
    return bench(masks=KernelMask(torch.ones(3, 2, 1, 1)))


@pytest.mark.parametrize(
    ("who", "error", "build"), REFUSED, ids=[f"{number} {who}" for number, (who, _, _) in enumerate(REFUSED)]
)
def test_what_does_not_fit(who: str, error: type[Exception], build: Callable[[], Any]) -> None:
    refused(who, error, build)


@pytest.mark.parametrize(
    ("known", "build"),
    [
        (("convolution", "correlation"), lambda name: KernelMask(ONE, name)),
        (("amplitude", "phase"), lambda name: BinaryMask(ONE, name)),
        (("ideal", "bound", "beam_splitter"), CoherentSum),
        (("ideal", "bound", "beam_splitter"), lambda name: bench(combiner=name)),
        (("angular_spectrum", "fresnel_rescaled"), lambda name: FreeSpace(GRID, LIGHT, 0.1 * mm, name)),
        (("hard", "grey"), lambda name: Aperture(GRID, 9 * um, edge=name)),
        (("noll", "osa", "fringe"), lambda name: Aberration(GRID, 30 * um, {4: 0.1}, name)),
    ],
)
def test_an_unknown_option_is_answered_with_the_known_ones(
    known: tuple[str, ...], build: Callable[[str], Any]
) -> None:
    with pytest.raises(ValueError, match=r": expected .*, got 'mirror'\.$") as caught:
        build("mirror")
    assert all(option in str(caught.value) for option in known)


# ---- fields and pictures

FIELDS = [*CASES, *SQUARE_LAW, *ROUNDED]
each = pytest.mark.parametrize("case", FIELDS, ids=lambda case: case.name)
# Who may speak for an element beside it and its parts: the functions that it calls.
FUNCTIONS = {"perturbed", "thin_lens", "angular_spectrum", "fresnel", "fresnel_rescaled", "apply_jones"}


def refuses(case: Case, error: type[Exception], field: Any) -> None:
    element = case.make()
    known = "|".join({type(part).__name__ for part in element.modules()} | FUNCTIONS)
    with pytest.raises(error, match=rf"^({known}): expected .*, got .*\.$"):
        element(field)


@each
def test_whole_numbers_are_no_light(case: Case) -> None:
    """torch would turn them into complex numbers without a word, or fail deep inside."""
    for dtype in (torch.int64, torch.uint8, torch.bool):
        refuses(case, TypeError, torch.ones(2, *case.shape, dtype=dtype))
    refuses(case, TypeError, torch.ones(case.shape).tolist())


@each
def test_a_plane_of_another_size(case: Case) -> None:
    if not hasattr(case.make(), "grid"):
        pytest.skip("it fits every plane")
    for shape in [(*case.shape[:-1], case.shape[-1] + 1), (*case.shape[:-2], 1, 1), case.shape[-1:]]:
        refuses(case, ValueError, case.example(1).new_ones(shape))


@each
def test_another_number_of_channels(case: Case) -> None:
    """One channel would be spread over all of them without a word."""
    element = case.make()
    if not any(isinstance(part, MaskBank) for part in element.modules()):
        pytest.skip("it fits every number of channels")
    example = case.example(1)
    refuses(case, ValueError, torch.cat([example, example], -3))
    if case.shape[-3] > 1:
        refuses(case, ValueError, example[..., :1, :, :])


@each
def test_a_complex_picture_on_a_display(case: Case) -> None:
    if case.complex_input:
        pytest.skip("it takes a field")
    refuses(case, TypeError, torch.ones(2, *case.shape, dtype=torch.complex64))


def test_the_check_reads_no_sample() -> None:
    """What has no values, such as a tensor on the meta device, is checked all the same."""
    field = torch.ones(2, 5, 7, dtype=torch.complex64, device="meta")
    refused("IntensityDetector", ValueError, lambda: detector().to("meta")(field))
