"""What is computed in a faster way equals what it stands for, and what is kept never outlives its cause."""

import copy
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from optics4f import CoherentSum, FourF, Grid, KernelMask, PhaseMask, mm, nm, um
from optics4f.fourier import crop_center, crop_corners, ft2, ift2, in_fft_order
from optics4f.functional import mask_and_sum
from optics4f.mkl import half_planes, in_place, to_half, to_real, transform_
from optics4f.passage import Kernel, Scratch, infer, passage, plain_passage

SIDES = st.integers(1, 9)
ROUNDING = 1e-12  # sums of at most 81 float64 numbers of order 1


@given(SIDES, SIDES, st.data())
def test_corners_are_the_centre_in_fft_order(height: int, width: int, data: st.DataObject) -> None:
    shape = (data.draw(st.integers(1, height)), data.draw(st.integers(1, width)))
    plane = torch.randn(2, height, width)
    found = crop_corners(torch.fft.ifftshift(plane, (-2, -1)), shape)
    assert torch.equal(torch.fft.fftshift(found, (-2, -1)), crop_center(plane, shape))


@given(SIDES, SIDES, st.booleans(), st.data())
def test_plain_transforms_do_what_centred_ones_do(
    height: int, width: int, inverted: bool, data: st.DataObject
) -> None:
    """Every parity of both planes, with the complex field compared, not its modulus."""
    shape = (data.draw(st.integers(1, height)), data.draw(st.integers(1, width)))
    field = torch.randn(height, width, dtype=torch.complex128)
    transfer = torch.randn(*shape, dtype=torch.complex128)
    expected = (ft2 if inverted else ift2)(crop_center(ft2(field), shape) * transfer)
    product = crop_corners(torch.fft.fft2(field), shape) * in_fft_order(transfer, (height, width), inverted)
    found = torch.fft.fft2(product) if inverted else torch.fft.ifft2(product, norm="forward")
    assert float((found - expected).abs().max()) < ROUNDING


@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("chunk", [1, 40, 100, 10**6])
@pytest.mark.parametrize("shape", [(3,), (1, 3), (5, 3), (2, 4, 3), (5, 1)])
def test_chunks_are_only_a_way_to_work(shape: tuple[int, ...], chunk: int, squared: bool) -> None:
    """One sample at a time, several outputs, several pictures, all at once; through a stop as well."""
    field = torch.randn(*shape, 6, 5, dtype=torch.complex128)
    kernel = Kernel(torch.randn(7, shape[-1], 4, 5, dtype=torch.complex128), inverted=True)
    found = infer(field, kernel, squared, chunk)
    product = mask_and_sum(crop_corners(torch.fft.fft2(field), (4, 5)), kernel.whole)
    expected = torch.fft.fft2(product)
    if squared:
        expected = expected.abs().square()
    assert relative_error(found, expected) < ROUNDING


@pytest.mark.parametrize("planes", [(6, 5), (5, 6), (4, 4), (3, 5), (1, 1), (2, 3, 8, 8)])
@pytest.mark.parametrize("precision", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("inverse", [True, False])
def test_transforms_in_place_are_those_of_torch(
    planes: tuple[int, ...], precision: torch.dtype, inverse: bool
) -> None:
    field = torch.randn(*planes, dtype=precision)
    expected = torch.fft.ifft2(field, norm="forward") if inverse else torch.fft.fft2(field)
    found = transform_(field, inverse)
    assert found is field or not in_place(field)
    assert relative_error(found, expected) < 4 * torch.finfo(precision).eps * math.log2(field.numel() + 2)


@pytest.mark.parametrize("columns", [5, 6])
def test_planes_that_are_not_contiguous_are_left_alone(columns: int) -> None:
    field = torch.randn(6, columns, dtype=torch.complex128).mT
    before = field.clone()
    found = transform_(field, False)
    assert torch.equal(field, before)
    assert relative_error(found, torch.fft.fft2(before)) < ROUNDING


@pytest.mark.parametrize("columns", [5, 6])
def test_half_a_spectrum_gives_the_real_plane(columns: int) -> None:
    plane = torch.randn(3, 4, columns, dtype=torch.float64)
    half = torch.fft.rfft2(plane)
    rows = half_planes((3, 4, columns), partial(torch.empty, dtype=torch.complex128)).copy_(half)
    for memory in (half, rows):
        found = to_real(memory, torch.empty_like(plane)) / (4 * columns)
        assert relative_error(found, plane) < ROUNDING


@pytest.mark.parametrize("columns", [5, 6])
def test_half_a_spectrum_of_real_planes(columns: int) -> None:
    plane = torch.randn(3, 4, columns, dtype=torch.float64)
    rows = half_planes((3, 4, columns), partial(torch.empty, dtype=torch.complex128))
    for memory in (rows, rows.contiguous()):
        found = to_half(plane, memory)
        assert relative_error(found, torch.fft.rfft2(plane)) < ROUNDING
    assert relative_error(to_half(plane.mT, found.mT), torch.fft.rfft2(plane.mT)) < ROUNDING


@pytest.mark.parametrize("kernels", [torch.float64, torch.complex128])
@pytest.mark.parametrize("inverted", [True, False])
@pytest.mark.parametrize("stop", [None, (4, 5), (3, 4), (5, 3)])
@pytest.mark.parametrize("side", [(8, 7), (7, 8)])
def test_real_light_takes_the_short_way(
    side: tuple[int, int], stop: tuple[int, int] | None, inverted: bool, kernels: torch.dtype
) -> None:
    """The same intensity as for complex numbers; half a spectrum is enough for real kernels."""
    masks = KernelMask(torch.randn(3, 2, 3, 2, dtype=kernels), trainable=False)
    system = FourF(Grid(side, 8 * um), 532 * nm, 100 * mm, masks, stop=stop, invert_output=inverted)
    light = torch.randn(4, 2, *side, dtype=torch.float64)
    with torch.no_grad():
        found, expected = system.intensity(light), system(light).abs().square()
        assert (system.kernel().half is None) == kernels.is_complex
    assert found.dtype == torch.float64
    assert relative_error(found, expected) < ROUNDING


def test_scratch_memory_is_taken_again_and_belongs_to_one_thread() -> None:
    scratch, elsewhere = Scratch(), []
    shape = (3, 4)
    first = scratch.take("a", shape, torch.float32, torch.device("cpu"))
    smaller = scratch.take("a", (5,), torch.float32, torch.device("cpu"))
    assert smaller.data_ptr() == first.data_ptr()
    assert scratch.take("b", shape, torch.float32, torch.device("cpu")).data_ptr() != first.data_ptr()
    take = partial(scratch.take, "a", shape, torch.float32, torch.device("cpu"))
    thread = threading.Thread(target=lambda: elsewhere.append(take()))
    thread.start()
    thread.join()
    assert elsewhere[0].data_ptr() != first.data_ptr()


def test_what_is_returned_is_not_scratch_memory() -> None:
    """A second call may not change the first one's result."""
    system, other = bench(), FIELD.flip(0)
    with torch.no_grad():
        for call in (system, system.intensity):
            first = call(FIELD)
            before = first.clone()
            call(other)
            assert torch.equal(first, before)


def test_a_field_is_left_as_it_was() -> None:
    system, field = bench(), FIELD.clone()
    with torch.no_grad():
        system(field)
        system.intensity(field)
    assert torch.equal(field, FIELD)


@pytest.mark.parametrize("gradient", [True, False])
def test_intensity_is_the_square_of_the_field(gradient: bool) -> None:
    system = bench().double()
    field = FIELD.to(torch.complex128).requires_grad_(gradient)
    with torch.set_grad_enabled(gradient):
        found, expected = system.intensity(field), system(field).abs().square()
    assert float((found - expected).detach().abs().max()) < ROUNDING
    assert found.requires_grad == gradient


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


def bench() -> FourF:
    torch.manual_seed(0)
    return FourF(Grid((6, 5), 8 * um), 532 * nm, 100 * mm, PhaseMask(6 * torch.rand(2, 3, 6, 5), levels=8))


FIELD = torch.randn(3, 6, 5, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))


def _step(system: FourF) -> None:
    optimizer = torch.optim.SGD(system.parameters(), lr=10)
    system(FIELD).abs().square()[0].sum().backward()
    optimizer.step()


CHANGES: dict[str, Callable[[FourF], object]] = {
    "an optimiser's step": _step,
    "an edit in place": lambda system: system.masks.get_parameter("values").detach().add_(1),
    "a loaded state": lambda system: system.load_state_dict({"masks.values": torch.zeros(2, 3, 6, 5)}),
    "another bank": lambda system: setattr(system, "masks", PhaseMask(torch.ones(2, 3, 6, 5))),
    "another sum": lambda system: setattr(system, "combiner", CoherentSum("beam_splitter")),
    "a numeric sum": lambda system: setattr(system, "combiner", CoherentSum(0.1)),
    "a plain attribute": lambda system: setattr(system.masks, "levels", 2),
    "the orientation": lambda system: setattr(system, "invert_output", False),
    "the precision": lambda system: system.double(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_kept_follows_every_change(change: str) -> None:
    system, untouched = bench(), bench()
    with torch.no_grad():
        before = system(FIELD)
    CHANGES[change](system)
    CHANGES[change](untouched)  # never ran without gradients: nothing was kept
    with torch.no_grad():
        after = system(FIELD)
    # With gradients the sum over channels runs in another order: some float32 epsilons of 1.
    assert torch.allclose(after, untouched(FIELD).detach(), atol=1e-6)
    assert change == "the precision" or not torch.allclose(after, before, atol=1e-3)


def test_what_is_kept_is_kept_and_gives_the_same() -> None:
    system = bench()
    with torch.no_grad():
        assert system.kernel() is system.kernel()
        kept = system(FIELD)
    fresh = system(FIELD)
    assert fresh.requires_grad
    assert torch.allclose(kept, fresh.detach(), atol=1e-6)


def test_a_copy_keeps_nothing_of_the_original() -> None:
    system = bench()
    with torch.no_grad():
        system(FIELD)
        twin = copy.deepcopy(system)
        twin.masks.get_parameter("values").add_(1)
        assert not torch.equal(twin(FIELD), system(FIELD))


@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("chunk", [1, 40, 10**6])
def test_the_way_back_is_that_of_plain_operations(
    squared: bool, real: bool, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients of the field and of the kernel, through a stop, for pictures and outputs in pieces."""
    monkeypatch.setattr("optics4f.passage.CHUNK", chunk)
    field = torch.randn(2, 3, 2, 6, 5, dtype=torch.float64 if real else torch.complex128)
    kernel = torch.randn(4, 2, 4, 3, dtype=torch.complex128)
    found, expected = [], []
    for gradients, way in (
        (found, lambda f, k: passage(f, Kernel(k, True), squared)),
        (expected, lambda f, k: plain_passage(f, k, True, squared)),
    ):
        inputs = [field.clone().requires_grad_(), kernel.clone().requires_grad_()]
        output = way(*inputs)
        weights = torch.randn(output.shape, dtype=output.dtype, generator=torch.Generator().manual_seed(2))
        gradients += [output, *torch.autograd.grad(output, inputs, weights)]
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert relative_error(one.detach(), other.detach()) < ROUNDING


def test_second_derivatives() -> None:
    """A Hessian times a vector, against central differences of the gradient."""
    field = torch.randn(2, 3, 4, dtype=torch.complex128, requires_grad=True)
    kernel = torch.randn(2, 2, 3, 4, dtype=torch.complex128, requires_grad=True)
    assert torch.autograd.gradgradcheck(
        lambda f, k: passage(f, Kernel(k, False), True), (field, kernel), fast_mode=True
    )


def test_only_the_wanted_gradient_is_computed() -> None:
    field = torch.randn(2, 3, 4, dtype=torch.complex128)
    kernel = torch.randn(2, 2, 3, 4, dtype=torch.complex128)
    for wanted in (field, kernel):
        wanted.requires_grad_()
        passage(field, Kernel(kernel, True), True).sum().backward()
        wanted.requires_grad_(False)
    assert field.grad is not None and kernel.grad is not None


def test_threads_do_not_disturb_one_another() -> None:
    """MKL runs without the interpreter's lock: plans are shared by all threads, memory is not."""
    system = bench()
    fields = [torch.randn(3, 6, 5, dtype=torch.complex64) for _ in range(4)]
    with torch.no_grad():
        expected = [system.intensity(field) for field in fields]

    def work(number: int) -> bool:
        with torch.no_grad():
            return all(torch.equal(system.intensity(fields[number]), expected[number]) for _ in range(200))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


@pytest.mark.parametrize("kernels", [torch.float64, torch.complex128])
def test_without_mkl_the_results_are_the_same(kernels: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on other processors: torch.fft does all of it, for real and complex light, there and back."""
    masks = KernelMask(torch.randn(3, 2, 3, 2, dtype=kernels))
    system = FourF(Grid((7, 8), 8 * um), 532 * nm, 100 * mm, masks, stop=(5, 5))
    light = torch.randn(4, 2, 7, 8, dtype=torch.float64)

    def all_ways() -> list[torch.Tensor]:
        with torch.no_grad():
            found = [system.intensity(light), system(light), system.intensity(light.to(torch.complex128))]
        system.zero_grad()
        system.intensity(light).square().sum().backward()
        return [*found, *(parameter.grad.clone() for parameter in system.parameters())]

    expected = all_ways()
    monkeypatch.setattr("optics4f.mkl._library", lambda: None)
    for found, one in zip(all_ways(), expected, strict=True):
        assert relative_error(found, one) < ROUNDING
