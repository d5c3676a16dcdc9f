"""Masks of real hardware: the orders of gratings, pixels with gaps, two values, measured values, fringing."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from optics4f.elements import (
    AmplitudeMask,
    BinaryMask,
    ComplexMask,
    KernelMask,
    LookupMask,
    MaskBank,
    PhaseMask,
    Pixelated,
    fringed,
)
from optics4f.elements.masks import check_fit
from optics4f.elements.pixels import drawn_pixels, gumbel_value, nearest_value, soft_value, straight_through
from optics4f.fourier import ft2
from optics4f.functional import intensity
from optics4f.grid import Grid
from optics4f.system import FourF
from optics4f.units import mm, nm, um

ROUNDING = 1e-13  # float64, sums of up to some hundred terms of order 1


def field(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128)


def row(values: Tensor) -> Tensor:
    """One mask, constant along y."""
    return values.double().reshape(1, 1, 1, -1)


def orders(bank: MaskBank) -> Tensor:
    """Amplitudes of the orders of one period, with the envelope of its square samples; order q at index q."""
    transmittance = bank.transmittance(bank.samples)[0, 0, 0].detach()
    period = len(transmittance)
    coefficients = torch.fft.fft(torch.fft.ifftshift(transmittance)) / period
    return coefficients * torch.sinc(torch.fft.fftfreq(period, 1 / period, dtype=torch.float64) / period)


def drawn_orders(bank: Pixelated, y: int, x: int) -> complex:
    """Amplitude of the order (y, x) of an odd number of pixels that repeat, samples taken as squares."""
    drawn = bank.sampled()[0, 0].detach()
    height, width = drawn.shape
    coefficient = ft2(drawn)[height // 2 + y, width // 2 + x] / math.sqrt(height * width)
    square = torch.sinc(torch.tensor([y / height, x / width], dtype=torch.float64)).prod()
    return complex(coefficient * square)


@pytest.mark.parametrize(("oversample", "lit"), [(1, 1), (3, 3), (3, 1), (5, 3), (7, 5)])
def test_orders_of_pixels_are_the_discrete_ones_times_a_sinc(oversample: int, lit: int) -> None:
    values = 0.5 * field(1, 1, 5, 7) / 4
    side = lit / oversample
    bank = Pixelated(ComplexMask(values), oversample, side**2)
    assert bank.fill_factor == pytest.approx(side**2, rel=1e-15)  # one division and one square
    coefficients = ft2(values[0, 0]) / math.sqrt(35)
    for y, x in ((0, 0), (1, -2), (2, 3), (-1, 2)):
        envelope = (
            side**2 * torch.sinc(torch.tensor([side * y / 5, side * x / 7], dtype=torch.float64)).prod()
        )
        expected = complex(coefficients[2 + y, 3 + x] * envelope)
        assert drawn_orders(bank, y, x) == pytest.approx(expected, abs=ROUNDING)
    if oversample > 1:  # (4, 9) is (-1, 2) and one period further: orders repeat under the same envelope
        envelope = (
            side**2 * torch.sinc(torch.tensor([side * 4 / 5, side * 9 / 7], dtype=torch.float64)).prod()
        )
        expected = complex(coefficients[1, 5] * envelope)
        assert drawn_orders(bank, 4, 9) == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize(("oversample", "lit"), [(5, 3), (10, 8), (7, 7)])
def test_zero_order_efficiency_is_the_square_of_the_fill_factor(oversample: int, lit: int) -> None:
    fill_factor = (lit / oversample) ** 2
    flat = ComplexMask(torch.ones(1, 1, 3, 3, dtype=torch.complex128))
    mean = Pixelated(flat, oversample, fill_factor).sampled().mean()
    assert float(mean.abs() ** 2) == pytest.approx(fill_factor**2, abs=ROUNDING)


def test_a_reflecting_dead_area_adds_to_the_zero_order() -> None:
    phase, fill_factor = 1.1, (3 / 5) ** 2
    bank = PhaseMask(6 * torch.rand(1, 1, 5, 3, dtype=torch.float64))
    dead = complex(math.cos(phase), math.sin(phase))
    dark, bright = (Pixelated(bank, 5, fill_factor, d).sampled().detach() for d in (0, dead))
    assert complex((bright - dark).mean()) == pytest.approx((1 - fill_factor) * dead, abs=ROUNDING)
    mean = complex(bank.sampled().detach().mean())
    assert complex(dark.mean()) == pytest.approx(fill_factor * mean, abs=ROUNDING)
    assert float((bright.abs() - 1).abs().max()) < ROUNDING


@pytest.mark.parametrize("size", [4, 5])
@pytest.mark.parametrize("oversample", [3, 4])
def test_the_middle_pixel_stands_on_the_axis(size: int, oversample: int) -> None:
    """The centre of mass of pixel n // 2: on the axis, or half a sample before it for even s."""
    values = torch.zeros(1, 1, size, size, dtype=torch.float64)
    values[..., size // 2, size // 2] = 1
    bank = Pixelated(AmplitudeMask(values), oversample, ((oversample - 2) / oversample) ** 2)
    y, x = Grid((30, 31), 1 * um).coordinates()
    light = intensity(bank.transmittance((30, 31))[0, 0].detach())
    expected = -0.5e-6 if oversample % 2 == 0 else 0.0
    for along, axis in ((y, 1), (x, 0)):
        assert float((light.sum(axis) * along).sum() / light.sum()) == pytest.approx(expected, abs=1e-18)


def test_half_a_sample_is_a_linear_phase_of_the_transform() -> None:
    """Even s: with the stated displacement taken back, the orders are those of pixels on the axis."""
    values = field(1, 1, 3, 3) / 8
    drawn = Pixelated(ComplexMask(values), 4).sampled()[0, 0].detach()
    coefficients = ft2(drawn) / 12
    samples = torch.arange(12, dtype=torch.float64) - 6
    back = torch.polar(torch.ones(12, dtype=torch.float64), -2 * math.pi * samples * 0.5 / 12)
    envelope = torch.sin(math.pi * samples / 3) / (4 * torch.sin(math.pi * samples / 12))
    envelope[6] = 1
    per_axis = back * envelope
    repeated = (ft2(values[0, 0]) / 3).roll((-1, -1), (0, 1)).repeat(4, 4).roll((6, 6), (0, 1))
    # A repeat by one period of the orders: pixel indices are whole, so the discrete transform repeats.
    expected = repeated * per_axis.conj()[:, None] * per_axis.conj()
    assert float((coefficients - expected).abs().max()) < ROUNDING


def test_pixels_cover_what_they_say_and_the_rest_is_dark() -> None:
    drawn = drawn_pixels(torch.tensor([[2.0, 3.0]]), 3, 1, -1)
    assert drawn.tolist() == [[-1] * 6, [-1, 2, -1, -1, 3, -1], [-1] * 6]
    bank = Pixelated(PhaseMask(torch.zeros(1, 1, 3, 2)), 3, 1.0, 1.0)
    opened = bank.transmittance((15, 14))[0, 0].abs()
    # Rows 0 to 8 about row 4; columns -4 to 1: pixel 1 of 2 is the one on the axis.
    expected = torch.zeros(15, 14)
    expected[3:12, 3:9] = 1
    assert torch.equal(opened, expected)


def test_pixels_in_a_system() -> None:
    """Full pixels of three samples weigh the point-spread function with the envelope of the drawn pixel."""
    grid = Grid((15, 15), 8 * um)
    masks = Pixelated(PhaseMask(6 * torch.rand(1, 1, 5, 5, dtype=torch.float64)), 3)
    point = torch.zeros(1, 15, 15, dtype=torch.complex128)
    point[0, 7, 7] = 1
    output = FourF(grid, 532 * nm, 100 * mm, masks)(point)[0].detach()
    coarse = ft2(masks.bank.sampled()[0, 0]).detach() / 15 / 15 * 5
    x = torch.arange(15, dtype=torch.float64) - 7
    envelope = 1 + 2 * torch.cos(2 * math.pi * x / 15)  # three samples of weight 1
    repeated = coarse.repeat(3, 3)  # 5 k + 2 is the axis of every repeat; 7 is that of the middle one
    assert float((output - repeated * envelope[:, None] * envelope).abs().max()) < ROUNDING


def test_pitch_of_the_samples_meets_the_plane() -> None:
    plane = Grid((15, 15), 4 * um)
    check_fit(Pixelated(PhaseMask(torch.zeros(1, 1, 5, 5), pitch=12 * um), 3), plane)
    with pytest.raises(ValueError, match="12 um"):
        check_fit(Pixelated(PhaseMask(torch.zeros(1, 1, 5, 5), pitch=36 * um), 3), plane)


def test_a_grown_mask_does_not_dim_the_dead_area() -> None:
    mask = ComplexMask(0.9 * torch.ones(1, 1, 1, 1, dtype=torch.complex128), trainable=True)
    mask.values.data *= 3
    drawn = Pixelated(mask, 3, 1 / 9, 0.8).transmittance((3, 3))[0, 0].detach().real
    expected = torch.full((3, 3), 0.8, dtype=torch.float64)
    expected[1, 1] = 1
    assert float((drawn - expected).abs().max()) < ROUNDING


@pytest.mark.parametrize(("kind", "values"), [("amplitude", {0.0, 1.0}), ("phase", {-1.0, 1.0})])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_binary_mask_has_two_values(kind: str, values: set[float], dtype: torch.dtype) -> None:
    logits = 10 * torch.randn(2, 3, 6, 5, dtype=dtype)
    t = BinaryMask(logits, kind, temperature=0.1).transmittance((6, 5)).detach()
    assert set(t.real.flatten().tolist()) == values
    assert float(t.imag.abs().max()) == 0
    assert torch.equal(t.real > 0, logits > 0)


@pytest.mark.parametrize("kind", ["amplitude", "phase"])
def test_gradient_of_a_binary_mask_is_that_of_the_sigmoid(kind: str) -> None:
    """A product with fixed weights is linear in t: hard and soft have the same gradient, and it is known."""
    logits, weights = torch.randn(1, 2, 3, 4, dtype=torch.float64), field(1, 2, 3, 4)
    gradients = []
    for soft in (False, True):
        mask = BinaryMask(logits, kind, temperature=0.7, soft=soft)
        (mask.sampled() * weights).sum().real.backward()
        assert mask.values.grad is not None
        gradients.append(mask.values.grad)
    on = torch.sigmoid(logits / 0.7)
    expected = (2 if kind == "phase" else 1) * on * (1 - on) / 0.7 * weights.real
    assert torch.equal(*gradients)
    assert float((gradients[0] - expected).abs().max()) < ROUNDING


def test_a_soft_binary_mask_tends_to_the_bits() -> None:
    logits = torch.tensor([-2.0, -0.1, 0.1, 3.0], dtype=torch.float64)
    hard = BinaryMask(row(logits)).sampled().detach()
    for temperature in (0.1, 0.01, 0.002):
        soft = BinaryMask(row(logits), temperature=temperature, soft=True).sampled().detach()
        # The sigmoid of -l/T is below exp(-l/T); the smallest logit is 0.1.
        assert float((soft - hard).abs().max()) <= math.exp(-0.1 / temperature) * (1 + ROUNDING)


def reachable(count: int) -> Tensor:
    """A device that loses amplitude as its phase grows, as an LCoS may."""
    turn = torch.arange(count, dtype=torch.float64) / count
    return torch.polar(1 - 0.6 * turn.square(), 5.5 * turn)


def test_lookup_is_the_nearest_of_all() -> None:
    device, wanted = reachable(37), field(2, 3, 9, 8)
    mask = LookupMask(wanted, device)
    distances = (wanted[..., None] - device).abs()
    assert torch.equal(mask.sampled().detach(), device[distances.argmin(-1)])
    assert torch.equal(mask.transmittance((9, 8)).detach(), mask.sampled().detach())


def test_of_two_equally_near_the_earlier_is_taken() -> None:
    two = torch.tensor([1j, 1, -1], dtype=torch.complex128)
    assert complex(nearest_value(torch.zeros(1, dtype=torch.complex128), two)[0]) == 1j


def test_gradient_of_a_lookup_mask_is_that_of_what_was_wanted() -> None:
    wanted, weights = field(1, 2, 3, 4), field(1, 2, 3, 4)
    mask = LookupMask(wanted, reachable(9))
    (mask.sampled() * weights).sum().real.backward()
    continuous = ComplexMask(wanted / 10, trainable=True)  # passive; the derivative is the same
    (continuous.sampled() * weights).sum().real.backward()
    assert mask.values.grad is not None and continuous.values.grad is not None
    assert torch.equal(mask.values.grad, continuous.values.grad)


def test_soft_assignment_tends_to_the_nearest() -> None:
    device, wanted = reachable(6), field(200)
    distances = (wanted[:, None] - device).abs().square().sort(-1).values
    gap = distances[:, 1] - distances[:, 0]
    for temperature in (0.3, 0.03, 0.003):
        error = (soft_value(wanted, device, temperature) - nearest_value(wanted, device)).abs()
        # Five others weigh at most exp(-gap / T) each and are at most 2 away.
        assert bool((error <= 10 * torch.exp(-gap / temperature) + ROUNDING).all())


@pytest.mark.parametrize("temperature", [1e-4, 1.0, 100.0])
def test_soft_assignment_is_passive(temperature: float) -> None:
    values = soft_value(100 * field(50), reachable(8), temperature)
    assert float(values.abs().max()) <= 1 + ROUNDING


def test_gradient_of_the_soft_assignment() -> None:
    wanted, device = field(6).requires_grad_(), reachable(5)
    assert torch.autograd.gradcheck(lambda z: soft_value(z, device, 0.3), (wanted,))


def test_soft_is_short_for_its_relaxation() -> None:
    wanted, device = field(1, 2, 3, 4), reachable(5)
    one = LookupMask(wanted, device, 0.3, soft=True).sampled().detach()
    assert torch.equal(one, LookupMask(wanted, device, 0.3, relaxation="soft").sampled().detach())
    assert torch.equal(one, soft_value(wanted, device, 0.3))


def test_a_drawn_mask_is_the_nearest_in_evaluation() -> None:
    wanted, device = field(2, 3, 9, 8), reachable(37)
    mask = LookupMask(wanted, device, 0.3, relaxation="gumbel")
    nearest = LookupMask(wanted, device)
    assert not torch.equal(mask.sampled(), nearest.sampled())
    assert torch.equal(mask.eval().sampled(), nearest.sampled())


def test_draws_follow_the_softmax_of_the_distances() -> None:
    """Chi-square of n draws at three wanted values, K - 1 degrees of freedom each, and its 5 sigma bound."""
    device, temperature, n = reachable(6), 0.4, 20_000
    wanted = torch.tensor([0.1 + 0.2j, -0.6 + 0.1j, 0.9 - 0.1j], dtype=torch.complex128)
    mask = LookupMask(wanted.expand(1, n, 1, 3), device, temperature, relaxation="gumbel", seed=4)
    drawn = mask.sampled().detach()[0, :, 0]
    counts = (drawn[..., None] == device).double().sum(0)
    assert bool((counts.sum(-1) == n).all())  # the device shows nothing but what it can
    weights = torch.softmax(-(wanted[:, None] - device).abs().square() / temperature, -1)
    chi_square = float(((counts - n * weights).square() / (n * weights)).sum())
    freedom = 3 * 5
    assert abs(chi_square - freedom) < 5 * math.sqrt(2 * freedom)


def test_same_seed_same_draws() -> None:
    wanted, device = field(1, 2, 9, 8), reachable(7)
    one, other, third = (
        LookupMask(wanted, device, 0.5, relaxation="gumbel", seed=seed) for seed in (3, 3, 4)
    )
    first, second = one.sampled(), one.sampled()
    torch.manual_seed(11)  # the draws are the mask's own
    assert torch.equal(other.sampled(), first) and torch.equal(other.sampled(), second)
    assert not torch.equal(first, second) and not torch.equal(third.sampled(), first)
    one.restart(3)
    assert torch.equal(one.sampled(), first)


def test_draws_and_gradient_are_those_of_gumbel_softmax() -> None:
    """torch's own function, from the same noise."""
    wanted, device, weights = field(5, 4).requires_grad_(), reachable(6), field(5, 4)
    torch.manual_seed(3)
    got = gumbel_value(wanted, device, 0.3, torch.default_generator)
    torch.manual_seed(3)
    logits = -(wanted[..., None] - device).abs().square() / 0.3
    expected = (torch.nn.functional.gumbel_softmax(logits, hard=True) * device).sum(-1)
    assert float((got - expected).detach().abs().max()) < ROUNDING
    gradients = [torch.autograd.grad((v * weights).sum().real, wanted)[0] for v in (got, expected)]
    assert float((gradients[0] - gradients[1]).abs().max()) < ROUNDING
    assert float(gradients[0].abs().min()) > 0


def test_a_system_with_drawn_masks_trains() -> None:
    """The gradient of draws, through a system, brings the nearest values towards those that are wanted."""
    device, light = reachable(5), field(1, 3, 3)
    mask = LookupMask(torch.zeros(1, 1, 3, 3, dtype=torch.complex128), device, 0.5, relaxation="gumbel")
    system, goal = (
        FourF(Grid((3, 3), 8 * um), 532 * nm, 100 * mm, masks, combiner=1.0)
        for masks in (mask, ComplexMask(device[torch.arange(9) % 3 + 1].reshape(1, 1, 3, 3)))
    )

    def error() -> Tensor:
        return (system(light) - goal(light)).abs().square().sum()

    def nearest() -> float:
        system.eval()
        return float(error().detach())

    optimiser = torch.optim.Adam(system.parameters(), lr=0.1)
    before = nearest()
    system.train()
    for _ in range(60):
        optimiser.zero_grad()
        error().backward()
        optimiser.step()
    assert nearest() < 0.1 * before


def test_straight_through_keeps_the_hard_value_to_the_last_bit() -> None:
    hard, soft = torch.tensor([1e-30, 1.0]), torch.tensor([1e9, -3.0], requires_grad=True)
    assert torch.equal(straight_through(hard, soft).detach(), hard)


def test_fringing_of_a_step_is_a_geometric_series() -> None:
    """exp(-j/a) from j = m on sums to q^m/(1-q), and the two sides differ as their lengths do."""
    before, behind, n, edge = 0.8, 1.7, 60, 30
    phase = torch.zeros(3, n, dtype=torch.float64)
    phase[:, edge:] = 1.5
    got = fringed(phase, decay_x=(before, behind)).angle()[1]
    p, q = math.exp(-1 / before), math.exp(-1 / behind)
    total = 1 + p / (1 - p) + q / (1 - q)
    for m in range(6):
        # m samples behind the edge, what comes from before it: offsets j > m of the +x side.
        assert float(got[edge + m]) == pytest.approx(1.5 * (1 - q ** (m + 1) / (1 - q) / total), abs=ROUNDING)
        assert float(got[edge - 1 - m]) == pytest.approx(1.5 * p ** (m + 1) / (1 - p) / total, abs=ROUNDING)


def test_fringing_acts_on_the_wrapped_phase_and_leaves_a_flat_one_alone() -> None:
    phase = 9 * torch.rand(6, 5, dtype=torch.float64)
    lengths = ((0.5, 0.9), (1.2, 0.0))
    wrapped = torch.remainder(phase, 2 * math.pi)
    assert float((fringed(phase, *lengths) - fringed(wrapped, *lengths)).abs().max()) < ROUNDING
    # Where the wrap jumps by 2 pi the light meets the values in between.
    assert float((fringed(phase, *lengths) - torch.exp(1j * phase)).abs().max()) > 0.1
    flat = torch.full((4, 7), 2.0, dtype=torch.float64)
    assert float((fringed(flat, *lengths, exponent=2) - torch.exp(1j * flat)).abs().max()) < ROUNDING
    assert float((fringed(phase) - torch.exp(1j * phase)).abs().max()) < ROUNDING  # no decay length: sharp
    turned = fringed(phase.mT, lengths[1], lengths[0]).mT
    assert float((fringed(phase, *lengths) - turned).abs().max()) < ROUNDING


def test_fringing_of_a_grating_spreads_as_its_kernel_says() -> None:
    """A wave of phase, away from the edge, is weakened by the transform of the kernel."""
    n, a = 240, 2.0
    index = torch.arange(n, dtype=torch.float64)
    phase = 1 + 0.3 * torch.cos(2 * math.pi * index / 12)
    got = fringed(phase.expand(2, n), decay_x=(a, a)).angle()[0]
    q = math.exp(-1 / a)
    # sum q^|j| cos(w j) / sum q^|j| for w = 2 pi/12
    gain = (1 - q) ** 2 / (1 - 2 * q * math.cos(math.pi / 6) + q * q)
    expected = 1 + 0.3 * gain * torch.cos(2 * math.pi * index / 12)
    assert float((got - expected)[80:160].abs().max()) < ROUNDING  # the edge is 40 decay lengths away


def test_gradient_of_fringing() -> None:
    # Away from the wrap, where the phase of the device jumps.
    phase = (0.5 + 5 * torch.rand(3, 4, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: fringed(p, (0.4, 0.9), (1.1, 0.3)), (phase,))


def test_a_system_follows_what_is_set_on_its_masks() -> None:
    """What a system keeps between calls is made anew: settings are part of the state of a module."""
    lookup = LookupMask(field(1, 1, 3, 3), reachable(5), temperature=0.5)
    pixels = Pixelated(lookup, 3, 1 / 9)
    system, light = FourF(Grid((9, 9), 8 * um), 532 * nm, 100 * mm, pixels), field(1, 9, 9)
    outputs = []
    with torch.no_grad():
        for change in ({}, {"relaxation": "soft"}, {"temperature": 0.1}):
            vars(lookup).update(change)
            outputs.append(system(light))
        pixels.dead_amplitude = 0.5
        outputs.append(system(light))
    for one, other in itertools.pairwise(outputs):
        assert float((one - other).abs().max()) > 1e-3


FLAT = PhaseMask(torch.zeros(1, 1, 2, 2))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Pixelated(FLAT, 5, 0.64), "w/p a multiple of 1/5.*F = 1 or 0.36, got F = 0.64, w/p = 0.8"),
        (lambda: Pixelated(FLAT, 8, 0.93), "such as F = 1 or 0.5625, got F = 0.93, w/p = 0.9644"),
        (lambda: Pixelated(FLAT, 0), "at least 1 sample per pixel, got 0"),
        (lambda: Pixelated(FLAT, 3, 1.2), "fill factor in .*, got 1.2"),
        (lambda: Pixelated(FLAT, 3, math.nan), "fill factor in .*, got nan"),
        (lambda: Pixelated(FLAT, 3, 1 / 9, 1.5j), r"\|t\| <= 1, got \|t\| = 1.5"),
        (lambda: Pixelated(FLAT, 3).transmittance((5, 6)), r"at most \(5, 6\) samples"),
        (lambda: BinaryMask(torch.zeros(1, 1, 2, 2), "grey"), "kind amplitude or phase, got 'grey'"),
        (lambda: BinaryMask(torch.zeros(1, 1, 2, 2), temperature=0), "temperature larger than 0, got 0"),
        (lambda: LookupMask(field(1, 1, 2, 2), torch.tensor([0.5, 1.2])), "up to 1.2"),
        (lambda: LookupMask(field(1, 1, 2, 2), torch.tensor([math.nan])), "up to nan"),
        (lambda: LookupMask(field(1, 1, 2, 2), torch.ones(2, 2)), r"shape \(K,\), got \(2, 2\)"),
        (lambda: LookupMask(field(1, 1, 2, 2), torch.ones(0)), r"shape \(K,\), got \(0,\)"),
        (lambda: LookupMask(field(1, 1, 2, 2), torch.ones(2), -1.0), "larger than 0, got -1"),
        (
            lambda: LookupMask(field(1, 1, 2, 2), torch.ones(2), relaxation="hard"),
            "a relaxation of straight_through, soft, gumbel, got 'hard'",
        ),
        (
            lambda: LookupMask(field(1, 1, 2, 2), torch.ones(2), soft=True, relaxation="gumbel"),
            "got 'gumbel' with soft",
        ),
        (lambda: fringed(torch.zeros(2, 2), (-1.0, 0.0)), "at least 0 samples"),
        (lambda: fringed(torch.zeros(2, 2), exponent=0.4), "exponent of at least 1/2"),
    ],
)
def test_refused(build: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()  # type: ignore[operator]


def test_refused_for_their_kind() -> None:
    with pytest.raises(TypeError, match="given by samples, got KernelMask"):
        Pixelated(KernelMask(torch.ones(1, 1, 3, 3)), 3)
    with pytest.raises(TypeError, match="real logits, got"):
        BinaryMask(field(1, 1, 2, 2))
