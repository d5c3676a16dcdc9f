"""What is computed in a faster way equals what it stands for, and what is kept never outlives its cause."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from optics4f import CoherentSum, FourF, Grid, PhaseMask, mm, nm, um
from optics4f.fourier import crop_center, crop_corners, ft2, ift2, in_fft_order
from optics4f.functional import mask_and_sum, masked_transform

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
    spectrum = crop_corners(torch.fft.fft2(field, norm="ortho"), shape)
    product = spectrum * in_fft_order(transfer, (height, width), inverted)
    found = (torch.fft.fft2 if inverted else torch.fft.ifft2)(product, norm="ortho")
    assert float((found - expected).abs().max()) < ROUNDING


@pytest.mark.parametrize("chunk", [1, 40, 100, 10**6])
@pytest.mark.parametrize("shape", [(3,), (1, 3), (5, 3), (2, 4, 3), (5, 1)])
def test_chunks_are_only_a_way_to_work(shape: tuple[int, ...], chunk: int) -> None:
    """One sample at a time, several outputs, several pictures, all at once."""
    spectrum = torch.randn(*shape, 4, 5, dtype=torch.complex128)
    transfer = torch.randn(7, shape[-1], 4, 5, dtype=torch.complex128)
    found = masked_transform(spectrum, transfer, ft2, chunk)
    assert float((found - ft2(mask_and_sum(spectrum, transfer))).abs().max()) < ROUNDING


@pytest.mark.parametrize("gradient", [True, False])
def test_intensity_is_the_square_of_the_field(gradient: bool) -> None:
    system = bench().double()
    field = FIELD.to(torch.complex128).requires_grad_(gradient)
    with torch.set_grad_enabled(gradient):
        found, expected = system.intensity(field), system(field).abs().square()
    assert float((found - expected).detach().abs().max()) < ROUNDING
    assert found.requires_grad == gradient


def test_chunks_of_a_real_reading_keep_its_type() -> None:
    spectrum, transfer = (torch.randn(*shape, 4, 5, dtype=torch.complex128) for shape in ((3, 2), (7, 2)))
    found = masked_transform(spectrum, transfer, lambda product: product.abs(), chunk=20)
    assert found.dtype == torch.float64
    assert float((found - mask_and_sum(spectrum, transfer).abs()).abs().max()) < ROUNDING


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
