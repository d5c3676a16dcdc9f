"""Any CNN to its counterpart: the CNN without its nonlinearities, to rounding; refusals name the node.

Both sides are float64 and differ by the order of some thousand sums of numbers of order 1: 1e-12 relative.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from optics4f.elements import spectral_pool
from optics4f.fourier import crop_center
from optics4f.models.bench_design import BenchDesign
from optics4f.models.counterpart import Counterpart, counterpart
from optics4f.models.linear_part import carried_bias, dense_kernels, walk
from optics4f.models.teachers import UNet

TOLERANCE = 1e-12
ROUND: Any = {"padding": "same", "padding_mode": "circular"}


def relative(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape
    return float((found - expected).detach().abs().max() / expected.detach().abs().max())


def norm(channels: int) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(channels)
    for values in (layer.weight.data, layer.bias.data, layer.running_mean):
        nn.init.normal_(values)
    nn.init.uniform_(layer.running_var, 0.5, 2)
    return layer


def classifier(front: list[nn.Module], shape: tuple[int, int, int], classes: int = 3) -> nn.Sequential:
    """A CNN in float64 that ends in one linear layer."""
    with torch.no_grad():
        count = nn.Sequential(*front).double().eval()(torch.zeros(1, *shape, dtype=torch.float64)).numel()
    return nn.Sequential(*front, nn.Flatten(), nn.Linear(count, classes)).double().eval()


def without_nonlinearity(front: list[nn.Module]) -> nn.Sequential:
    return nn.Sequential(*(m for m in front if not isinstance(m, (nn.ReLU, nn.Dropout)))).double().eval()


def features(student: Counterpart, network: nn.Module, pictures: Tensor, tap: int = 0) -> Tensor:
    """The field of a sensor as the CNN's numbers: without light and scales, with bias, row 0 on top."""
    layers = student.taps[tap].layers
    field = student.fields(pictures)[tap] / student.amplitude(layers)
    assert float(field.imag.detach().abs().max()) < TOLERANCE * float(field.real.detach().abs().max())
    shape = (pictures.shape[1], pictures.shape[2], pictures.shape[3])
    return field.real.flip(-2) + carried_bias(walk(network, shape).layers[:layers])[:, None, None]


FRONTS: dict[str, tuple[Callable[[], list[nn.Module]], tuple[int, int, int]]] = {
    "one layer": (lambda: [nn.Conv2d(2, 4, 3, **ROUND), nn.ReLU()], (2, 9, 8)),
    "even kernels": (lambda: [nn.Conv2d(2, 4, (2, 4), **ROUND), nn.ReLU()], (2, 8, 9)),
    "three layers": (
        lambda: [
            *(nn.Conv2d(1, 3, 5, **ROUND), nn.ReLU(), nn.Dropout()),
            *(nn.Conv2d(3, 5, (3, 2), **ROUND), nn.ReLU(), nn.Conv2d(5, 2, 1, bias=False)),
        ],
        (1, 10, 11),
    ),
    "groups": (
        lambda: [nn.Conv2d(4, 8, 3, groups=2, **ROUND), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8, **ROUND)],
        (4, 7, 8),
    ),
    "holes": (
        lambda: [
            nn.Conv2d(2, 3, 3, dilation=(2, 3), **ROUND),
            nn.Conv2d(3, 2, (4, 2), dilation=(1, 3), **ROUND),
        ],
        (2, 11, 12),
    ),
    "batch norms": (
        lambda: [
            *(norm(2), nn.Conv2d(2, 4, 3, bias=False, **ROUND), norm(4), nn.ReLU(), norm(4)),
            *(nn.Conv2d(4, 3, 2, groups=1, **ROUND), norm(3)),
        ],
        (2, 9, 10),
    ),
}


@pytest.mark.parametrize("name", FRONTS)
def test_counterpart_is_the_linear_part_of_the_cnn(name: str) -> None:
    front, shape = FRONTS[name][0](), FRONTS[name][1]
    network, pictures = classifier(front, shape), torch.rand(3, *shape, dtype=torch.float64)
    student = counterpart(network, shape, readout="strict")
    expected = without_nonlinearity(front)(pictures)
    assert relative(features(student, network, pictures), expected) < TOLERANCE


@pytest.mark.parametrize("shape", [(2, 12, 10), (2, 9, 15), (2, 8, 12)])
def test_a_stride_is_the_convolution_and_an_ideal_low_pass(shape: tuple[int, int, int]) -> None:
    """Not subsampling: that folds what lies beyond the stop, and differs by as much as the field."""
    front: list[nn.Module] = [nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 3, **ROUND)]
    network, pictures = classifier(front, shape), torch.rand(2, *shape, dtype=torch.float64)
    whole = F.conv2d(F.pad(pictures, (1, 1, 1, 1), "circular"), front[0].weight, front[0].bias)
    size = ((shape[1] + 1) // 2, (shape[2] + 1) // 2)
    expected = front[2](spectral_pool(whole.flip(-2), size).flip(-2))
    found = features(counterpart(network, shape, readout="strict"), network, pictures)
    assert relative(found, expected) < TOLERANCE
    assert relative(found, front[2](whole[..., ::2, ::2])) > 0.01


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d((5, 4))])
def test_pools_are_stops_of_the_same_size(pool: nn.Module) -> None:
    """Also before the first convolution, where a relay without kernels carries the stop."""
    for first in ([], [nn.Conv2d(2, 2, 3, **ROUND)]):
        front: list[nn.Module] = [*first, pool, nn.ReLU(), nn.Conv2d(2, 3, 3, **ROUND)]
        network, pictures = classifier(front, (2, 11, 9)), torch.rand(2, 2, 11, 9, dtype=torch.float64)
        pooled = spectral_pool(nn.Sequential(*first)(pictures).flip(-2), (5, 4)).flip(-2)
        found = features(counterpart(network, (2, 11, 9), readout="strict"), network, pictures)
        assert relative(found, front[-1](pooled)) < TOLERANCE


def test_a_pool_that_enlarges_is_left_to_the_pixels() -> None:
    """What one stop took away, a later pool cannot bring back: all pixels read the mean of the plane."""
    pools = [nn.AdaptiveAvgPool2d(size) for size in (1, 4, 3)]
    network = classifier([nn.Conv2d(1, 2, 3, **ROUND), nn.ReLU(), *pools], (1, 8, 9))
    pictures = torch.rand(3, 1, 8, 9, dtype=torch.float64)
    means = network[0](pictures).mean((2, 3), keepdim=True).expand(-1, -1, 3, 3)
    student = counterpart(network, (1, 8, 9), readout="strict")
    assert relative(student(pictures), network[-1](means.flatten(1))) < TOLERANCE


def test_odd_stops_leave_no_dark_edge_and_the_pixels_as_they_are() -> None:
    front: list[nn.Module] = [nn.Conv2d(1, 2, 3, **ROUND), nn.MaxPool2d(2)]
    network = classifier(front, (1, 16, 14))
    for odd, lit in ((False, (8, 7)), (True, (7, 7))):
        student = counterpart(network, (1, 16, 14), BenchDesign(odd_stops=odd))
        assert student.optics.systems[0].lit_shape == lit
        assert student.signals[0].sensor.pixel_grid.shape == (8, 7)
    whole = counterpart(classifier(front[:1], (1, 16, 14)), (1, 16, 14), BenchDesign(odd_stops=True))
    assert whole.optics.systems[0].lit_shape == (16, 14)  # no stop at all


def test_signals_are_the_mean_of_the_linear_part_over_each_pixel_with_row_0_on_top() -> None:
    """A mean over a pixel is sinc(f) in the spectrum; odd planes have no unpaired frequency."""
    front: list[nn.Module] = [nn.Conv2d(1, 2, 3, **ROUND), norm(2), nn.ReLU(), nn.Conv2d(2, 2, 3, **ROUND)]
    network, pictures = classifier(front, (1, 7, 9)), torch.rand(3, 1, 7, 9, dtype=torch.float64)
    linear = without_nonlinearity(front)(pictures)
    rows, columns = (torch.sinc(torch.fft.fftfreq(n, dtype=torch.float64)) for n in (7, 9))
    means = torch.fft.ifft2(torch.fft.fft2(linear) * torch.outer(rows, columns)).real
    student = counterpart(network, (1, 7, 9), readout="strict")
    assert relative(student(pictures), network[-1](means.flatten(1))) < TOLERANCE


class Functional(nn.Module):
    """A user's own model: calls, methods, and weights that belong to no layer."""

    def __init__(self, pooling: str) -> None:
        super().__init__()
        self.pooling, self.gap = pooling, nn.AdaptiveAvgPool2d(1)
        self.kernels = nn.ParameterList([torch.randn(4, 2, 3, 3), torch.randn(6, 2, 3, 3)])
        self.norm, self.shift = norm(4), nn.Parameter(torch.randn(6))
        self.eps = (1e-3,) if pooling == "mean" else ()  # 1e-5 if not given
        self.inner, self.last = nn.Linear(6, 5), nn.Linear(5, 3)

    def convolve(self, x: Tensor, number: int, **given: Any) -> Tensor:
        return F.conv2d(F.relu(x), self.kernels[number], **given)

    def planes(self, x: Tensor) -> Tensor:
        x = self.convolve(x, 0, padding="same")
        mean, var = self.norm.running_mean, self.norm.running_var
        x = F.batch_norm(x, mean, var, self.norm.weight, self.norm.bias, False, 0.1, *self.eps)
        x = F.dropout(F.max_pool2d(x.relu(), 3, 1, 1), training=self.training).square()
        return self.convolve(x, 1, bias=self.shift, groups=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.planes(x)
        if self.pooling == "mean":
            x = x.mean((2, 3))
        elif self.pooling == "function":
            x = torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
        elif self.pooling == "view":
            x = self.gap(x).view(x.size(0), -1)
        else:
            x = torch.mean(x, (-2, -1), keepdim=True).reshape(x.shape[0], 6)
        return self.last(F.relu(self.inner(x)))


def functional_linear_planes(network: Functional, x: Tensor) -> Tensor:
    """What :class:`Functional` does to planes, without nonlinearities and circular."""
    norm, (first, second) = network.norm, network.kernels
    x = F.conv2d(F.pad(x, (1, 1, 1, 1), "circular"), first)
    x = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.1, *network.eps)
    return F.conv2d(F.pad(x, (1, 1, 1, 1), "circular"), second, network.shift, groups=2)


@pytest.mark.parametrize("pooling", ["mean", "function", "view", "reshape"])
def test_functional_models_begin_as_their_linear_part_logits_included(pooling: str) -> None:
    """One pixel has the mean of the plane exactly; linear layers multiplied into one are exact too."""
    network = Functional(pooling).double().eval()
    pictures = torch.rand(3, 2, 8, 9, dtype=torch.float64)
    planes = functional_linear_planes(network, pictures)
    assert relative(features_before_stop(network, pictures), planes) < TOLERANCE
    hidden = network.inner(planes.mean((2, 3)))
    strict = counterpart(network, (2, 8, 9), readout="strict")
    assert relative(strict(pictures), network.last(hidden)) < TOLERANCE
    both = counterpart(network, (2, 8, 9), readout="strict", back_end=2)
    assert relative(both(pictures), network.last(hidden.relu())) < TOLERANCE


def features_before_stop(network: Functional, pictures: Tensor) -> Tensor:
    """The fronts's planes: the same network with a classifier on all samples."""
    whole = nn.Sequential(PlanesOnly(network), nn.Flatten(), nn.Linear(6 * 8 * 9, 2).double()).eval()
    return features(counterpart(whole, (2, 8, 9), readout="strict"), whole, pictures)


class PlanesOnly(nn.Module):
    def __init__(self, network: Functional) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.planes(x)


def test_linear_layers_and_norms_between_them_become_one() -> None:
    flat = nn.BatchNorm1d(5)
    flat.load_state_dict(norm(5).state_dict())
    ends = [nn.Linear(3, 5), flat, nn.ReLU(), nn.Dropout(), nn.Linear(5, 4, bias=False), nn.Linear(4, 2)]
    front = [nn.Conv2d(1, 3, 3, **ROUND), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten()]
    network, pictures = nn.Sequential(*front, *ends).double(), torch.rand(3, 1, 6, 7, dtype=torch.float64)
    expected = without_nonlinearity(ends)(front[0](pictures).mean((2, 3)))
    student = counterpart(network, (1, 6, 7), readout="strict")
    assert relative(student(pictures), expected) < TOLERANCE
    assert sum(isinstance(part, nn.Linear) for part in student.modules()) == 1


@pytest.mark.parametrize("guard", [2, 3])
def test_a_guard_band_makes_one_padded_layer_exact(guard: int) -> None:
    front: list[nn.Module] = [nn.Conv2d(2, 3, (5, 3), padding="same", bias=False)]
    network, pictures = classifier(front, (2, 8, 9)), torch.rand(2, 2, 8, 9, dtype=torch.float64)
    student = counterpart(network, (2, 8, 9), BenchDesign(guard=guard), "strict")
    inner = crop_center(student.fields(pictures)[0], (8, 9)).real.flip(-2) / student.amplitude()
    assert relative(inner, front[0](pictures)) < TOLERANCE
    wrapped = features(counterpart(network, (2, 8, 9), readout="strict"), network, pictures)
    assert relative(wrapped, front[0](pictures)) > 0.1
    assert student.signals[0](student.fields(pictures)[0]).shape == (2, 3, 8, 9)
    pixels = student.signals[0].sensor[0].pixel_grid  # one for every sample of the picture, and all around it
    assert pixels.spacing == pytest.approx((10e-6, 10e-6), rel=1e-12)


def test_dense_kernels_hold_the_weights_at_their_taps() -> None:
    weight = torch.arange(1.0, 9.0).reshape(2, 1, 2, 2)
    dense = dense_kernels(weight, 2, (1, 2))
    assert dense.shape == (2, 2, 3, 3) and float(dense.sum()) == 36
    assert torch.equal(dense[0, 0], torch.tensor([[0.0, 0, 0], [1, 0, 2], [3, 0, 4]]))
    assert not dense[0, 1].any() and not dense[1, 0].any()


def test_audit_tells_the_readouts_apart() -> None:
    network = classifier(FRONTS["batch norms"][0](), (2, 9, 10)).float()
    pictures = torch.rand(4, 2, 9, 10)
    for readout, affine in (("strict", True), ("detected", False)):
        found = counterpart(network, (2, 9, 10), readout=readout).audit(pictures)
        assert (found.affine, found.optics_affine, found.passive) == (affine, True, True)
        assert (found.conversions, found.rank, found.collapsed_masks) == (1, 2, 6)
    two = nn.Sequential(
        nn.Conv2d(2, 4, 3, **ROUND), nn.Flatten(), nn.Linear(360, 9), nn.ReLU(), nn.Linear(9, 2)
    )
    for kept, affine in ((1, True), (2, False)):  # the ReLU between two electronic layers is found
        assert counterpart(two, (2, 9, 10), None, "strict", kept).audit(pictures).affine == affine


@pytest.mark.parametrize("readout", ["strict", "detected"])
def test_collapses_to_one_system_with_the_same_logits(readout: str) -> None:
    front: list[nn.Module] = [nn.Conv2d(2, 5, 3, **ROUND), nn.MaxPool2d(2), nn.Conv2d(5, 4, 3, **ROUND)]
    student = counterpart(classifier(front, (2, 10, 14)), (2, 10, 14), readout=readout).eval()
    pictures = torch.rand(3, 2, 10, 14, dtype=torch.float64)
    collapsed = student.collapse()
    assert relative(collapsed(pictures), student(pictures)) < TOLERANCE
    with pytest.raises(ValueError, match="collapse: expected one sensor behind a cascade, got 1 sensors"):
        collapsed.collapse()
    with pytest.raises(ValueError, match="amplitude: expected a cascade, got a FourF"):
        collapsed.amplitude()


def test_detected_signals_of_random_pictures_are_about_1() -> None:
    """The gain is set with 2 pictures and met here with 64: 10 % is five times their spread."""
    student = counterpart(classifier(FRONTS["groups"][0](), (4, 7, 8)), (4, 7, 8))
    with torch.no_grad():
        field = student.fields(torch.rand(64, 4, 7, 8, dtype=torch.float64))[0]
        size = (student.signals[0].sensor(field) * student.signals[0].gain).square().mean().sqrt()
    assert abs(float(size) - 1) < 0.1


def test_kernels_wider_than_their_plane_wrap_round() -> None:
    front: list[nn.Module] = [nn.Conv2d(2, 3, (5, 3), **ROUND), nn.ReLU(), nn.Conv2d(3, 2, (4, 3), **ROUND)]
    network, pictures = classifier(front, (2, 3, 2)), torch.rand(3, 2, 3, 2, dtype=torch.float64)
    student = counterpart(network, (2, 3, 2), readout="strict")
    assert relative(features(student, network, pictures), without_nonlinearity(front)(pictures)) < TOLERANCE


@pytest.mark.parametrize("readout", ["strict", "detected"])
def test_trains_every_number_and_leaves_the_teacher_alone(readout: str) -> None:
    layers = (
        nn.Conv2d(1, 3, 3),
        norm(3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(108, 9),
        nn.Tanh(),
        nn.Linear(9, 2),
    )
    teacher = nn.Sequential(*layers).requires_grad_(False).train()  # frozen, as distillation leaves it
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    student = counterpart(teacher, (1, 8, 8), readout=readout, back_end=2)
    assert all(part.training for part in student.modules())
    student(torch.rand(5, 1, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.abs().max() > 0) for p in student.parameters())
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(1)
    assert teacher.training and not any(p.requires_grad for p in teacher.parameters())
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())


def unet() -> UNet:
    network = UNet(2, 3, width=4, depth=2).double().eval()
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            part.padding_mode = "circular"
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.normal_(part.bias.data)
    return network


def test_unet_contracts_in_optics_and_detects_its_skips() -> None:
    """Each sensor sees the linear part of the level that it stands on, before the stop of the next pool."""
    network, pictures = unet(), torch.rand(2, 2, 12, 20, dtype=torch.float64)
    student = counterpart(network, (2, 12, 20), readout="strict")
    assert [tap.shape for tap in student.taps] == [(16, 3, 5), (4, 12, 20), (8, 6, 10)]
    assert student.conversions == 3 and student.audit(torch.cat((pictures, pictures / 2))).conversions == 3
    numbers = 16 * 15 + 4 * 240 + 8 * 60
    assert student.cost() == (
        f"3 optical-to-electronic conversions with {numbers} numbers per picture, {numbers - 240} of them "
        "for 2 skip connections; shared evenly, each sensor has 33% of the light"
    )
    levels = [without_nonlinearity(list(level)) for level in network.contract]
    first = levels[0](pictures)
    second = levels[1](spectral_pool(first.flip(-2), (6, 10)).flip(-2))
    assert relative(features(student, network, pictures, 1), first) < TOLERANCE
    assert relative(features(student, network, pictures, 2), second) < TOLERANCE
    with pytest.raises(ValueError, match="got 3 sensors behind a Cascade"):
        student.collapse()


def test_unet_expands_in_the_electronics_it_had() -> None:
    """Given the CNN's own signals, the back end gives the CNN's own mask, to the last bit."""
    network, pictures = unet(), torch.rand(1, 2, 8, 8, dtype=torch.float64)
    student = counterpart(network, (2, 8, 8)).eval()
    first = network.contract[0](pictures)
    second = network.contract[1](network.pool(first))
    deepest = network.contract[2](network.pool(second))
    assert torch.equal(student.back_end(deepest, first, second), network(pictures))


def test_dropped_skips_are_dark() -> None:
    network, pictures = unet(), torch.rand(2, 2, 8, 8, dtype=torch.float64)
    detect = counterpart(network, (2, 8, 8)).eval()
    drop = counterpart(network, (2, 8, 8), skips="drop").eval()
    signals = [signal(field) for signal, field in zip(detect.signals, detect.fields(pictures), strict=True)]
    dark = [torch.zeros_like(signal) for signal in signals[1:]]
    assert drop.conversions == 1
    assert relative(drop(pictures), detect.back_end(signals[0], *dark)) < TOLERANCE


class Wrong(nn.Module):
    """One thing that optics cannot do, inside a model that else they can."""

    def __init__(
        self, what: Callable[[nn.Module, Tensor], Any], inner: nn.Module | None = None, n: int = 256
    ) -> None:
        super().__init__()
        self.first, self.inner = nn.Conv2d(1, 4, 3, padding=1), inner or nn.Identity()
        self.what, self.last = what, nn.Linear(n, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.flatten(self.what(self, self.first(x)), 1))


WRONG: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a function": (lambda: Wrong(lambda m, x: torch.sin(x)), "node 'sin', call_function sin"),
    "its module": (
        lambda: nn.Sequential(Wrong(lambda m, x: x.cos())),
        "node 'cos', call_method cos in module '0'",
    ),
    "a module": (
        lambda: Wrong(lambda m, x: m.inner(x.flatten(2))[0], nn.LSTM(64, 64)),
        "node 'inner', call_module LSTM in module 'inner'",
    ),
    "a residual": (lambda: Wrong(lambda m, x: x + m.inner(x)), "node 'add', call_function add"),
    "a cat": (lambda: Wrong(lambda m, x: torch.cat((x, x), 1)), "node 'cat', call_function cat"),
    "a branch": (
        lambda: nn.Sequential(Branches(), nn.Flatten(), nn.Linear(64, 2)),
        "a branch at node '_0_b', call_module Conv2d in module '0.b'",
    ),
    "a view": (lambda: Wrong(lambda m, x: x.view(-1, 2, 8, 16)), "node 'view', call_method view"),
    "a mean over channels": (
        lambda: Wrong(lambda m, x: x.mean(1), n=64),
        "a mean over other than the plane at node 'mean'",
    ),
    "a linear layer on planes": (
        lambda: Wrong(lambda m, x: m.inner(x), nn.Linear(8, 8)),
        "a Linear before flatten at node 'inner'",
    ),
    "a norm without statistics": (
        lambda: Wrong(lambda m, x: m.inner(x), nn.BatchNorm2d(4, track_running_stats=False)),
        "no running statistics, or no layer to fold into, at node 'inner', call_module BatchNorm2d",
    ),
    "a way round the optics": (
        lambda: Around(nn.Sequential()),
        "a way round the optics at node 'x', placeholder x",
    ),
    "a sensor before the optics": (
        lambda: Around(nn.ReLU()),
        "a second way out of the model at node 'bend', call_module ReLU in module 'bend'",
    ),
    "two results": (lambda: Twice(), "a second way out of the model at node 'flatten'"),
}


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        self.a(x).relu()
        return self.b(x)


class Around(nn.Module):
    def __init__(self, bend: nn.Module) -> None:
        super().__init__()
        self.bend = bend
        self.conv, self.up = nn.Conv2d(1, 1, 2, stride=2), nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bend(x)
        return x + self.up(self.conv(x))


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(1, 1, 3, padding=1), nn.Linear(64, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv(x).flatten(1)
        return self.last(x), x


@pytest.mark.parametrize("name", WRONG)
def test_refuses_what_optics_cannot_do_and_names_the_node(name: str) -> None:
    make, sentence = WRONG[name]
    with pytest.raises(ValueError) as caught:
        counterpart(make(), (1, 8, 8))
    assert str(caught.value).startswith("counterpart: expected Conv2d, BatchNorm") and sentence in str(
        caught.value
    )


def test_refuses_models_that_cannot_be_followed_or_run() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 36, 2))
    branch = Wrong(lambda m, x: x if x.sum() > 0 else -x)
    for model, shape, sentence in (
        (branch, (1, 8, 8), "a model that torch.fx can trace, got: symbolically traced"),
        (network, (3, 8, 8), r"a model for pictures \(3, 8, 8\), got: "),
        (network, (8, 8), r"a shape \(C, H, W\) of positive integers, got \(8, 8\)"),
        (network[:1], (1, 8, 8), "a model with at least 1 Linear, got 0"),
        (network[1:2] + network[2:], (1, 8, 9), "a model with a Conv2d or a pool, got one without"),
    ):
        with pytest.raises(ValueError, match=sentence):
            counterpart(model, shape)
    loose = nn.Sequential(Wrong(lambda m, x: nn.ReLU()(x)))
    with pytest.raises(ValueError, match=r"torch\.fx can trace, got: module is not installed as a submodule"):
        counterpart(loose, (1, 8, 8))


def test_refuses_unknown_choices() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 36, 2))
    for given, sentence in (
        ({"readout": "paper"}, "expected readout strict or detected or paper_code, got 'paper'"),
        ({"skips": "keep"}, "expected skips detect or drop, got 'keep'"),
        ({"back_end": "all"}, "expected back_end 'last' or 1, 2, ..., got 'all'"),
        ({"back_end": 2}, "expected a model with at least 2 Linear, got 1"),
    ):
        with pytest.raises(ValueError, match=sentence):
            counterpart(network, (1, 8, 8), **given)
    with pytest.raises(ValueError, match=r"BenchDesign: expected a guard of 1, 2, 3 \.\.\., got 0"):
        BenchDesign(guard=0)
    with pytest.raises(TypeError, match="expected a quantity with a unit"):
        counterpart(network, (1, 8, 8), BenchDesign(wavelength=532e-9))
