# %% [markdown]
# Designing masks: signed kernels in incoherent light, a phase plate that makes one spot into nine, and a bank
# of 24 masks with fewer of them.

# %%
import torch

from optics4f import FourF, Grid, MaskBank, PhaseMask, incoherent_intensity, mm, nm, um
from optics4f.design import (
    error_curve,
    exposure_ratio,
    incoherent_masks,
    kernel_masks,
    reduced,
    retrieve_phase,
    signed_difference,
    signed_split,
)

torch.manual_seed(0)
plane, kernels = (32, 32), torch.randn(4, 1, 5, 5, dtype=torch.float64)
grid = Grid(plane, 8 * um)

# %% Coherent light: one mask per kernel, and the light that passes it.
design = kernel_masks(kernels, plane, "correlation", rows="picture")
print(f"masks scaled by {design.scale_db:.1f} dB; of white light {design.efficiency.mean():.1%} passes")

# %% Incoherent light: two masks per kernel, or one for all negative parts, which needs more light.
light = torch.rand(1, *plane, dtype=torch.float64)
bench = FourF(grid, 532 * nm, 100 * mm, incoherent_masks(kernels, "correlation"), invert_output=False)
signed = signed_difference(incoherent_intensity(bench, light), 4)
padded = torch.nn.functional.pad(light[None], (2, 2, 2, 2), mode="circular")
expected = torch.nn.functional.conv2d(padded, kernels)[0]
gain = float((signed * expected).sum() / expected.square().sum())
difference = float((signed / gain - expected).abs().max() / expected.abs().max())
ratio = float(exposure_ratio(*signed_split(kernels, "biased")).mean())
print(
    f"pairs against conv2d: {difference:.0e}; with one negative mask for all, {ratio:.1f} times the exposure"
)

# %% One spot into nine equal ones, by phase alone, in 16 levels; light elsewhere is free.
target = torch.zeros(plane, dtype=torch.float64)
target[12:21:4, 12:21:4] = 1
for levels in (None, 16):
    plate = retrieve_phase(
        target, weight=(target > 0).double(), efficiency_weight=0.05, levels=levels, gs_steps=30, steps=60
    )
    name = "continuous" if levels is None else f"{levels} levels"
    print(f"{name}: {float(plate.efficiency):.1%} in nine spots, uneven by {float(plate.error):.2%} r.m.s.")

# %% The plate in a 4f system: a point becomes nine.
point = torch.zeros(1, *plane, dtype=torch.complex128)
point[0, 16, 16] = 1
splitter = FourF(grid, 532 * nm, 100 * mm, PhaseMask(plate.phase[None, None], levels=16), invert_output=False)
with torch.no_grad():
    image = splitter.intensity(point)[0]
share = float(image[target > 0].sum() / image.sum())

# %% A bank 1 -> 24 that is nearly of rank 5, with fewer masks and electronic weights.
bases, mixing = torch.randn(5, 1, 5, 5, dtype=torch.float64), torch.randn(24, 5, dtype=torch.float64)
noisy = torch.einsum("om,mikl->oikl", mixing, bases)
noisy = noisy + 0.05 * torch.randn(noisy.shape, dtype=torch.float64)
bank = FourF(grid, 532 * nm, 100 * mm, MaskBank.from_kernels(noisy))
with torch.no_grad():
    curve = error_curve(bank.transfer())
for masks in (1, 3, 5, 8, 24):
    print(f"{masks:2d} masks: error {float(curve[masks]):.1e}")
few = reduced(bank, 5)

# %% What the 4f systems give is what the designs said.
points = torch.randn(200, 1, *plane, dtype=torch.complex128)
with torch.no_grad():
    wanted, got = bank(points), few(points)
missed = float((got - wanted).norm() / wanted.norm())
print(
    f"nine spots hold {share:.3f} of the light, designed {float(plate.efficiency):.3f}; "
    f"5 of 24 masks miss {missed:.3f} of white noise, formula {few.error:.3f}"
)
