# %% [markdown]
# A lamp instead of a laser: gratings beyond the cut-off come back, and a band of colours smears kernels.

# %%
import math

import torch

from optics4f import FourF, Grid, MaskBank, mm, nm, um
from optics4f.coherence import (
    ExtendedSource,
    Spectrum,
    abbe_intensity,
    incoherent_intensity,
    intensity_over_wavelengths,
)
from optics4f.elements import Aperture, ComplexMask
from optics4f.units import m

torch.set_grad_enabled(False)

# %% The bench: open masks, and a round stop of 64 samples in the Fourier plane. It passes 31.25 lines/mm.
grid = Grid((128, 128), 8 * um)
masks = ComplexMask(torch.ones(1, 1, 128, 128))
plane = FourF(grid, 532 * nm, 100 * mm, masks).fourier_grid
diameter = 64 * plane.spacing[0]
bench = FourF(grid, 532 * nm, 100 * mm, masks, pupil=Aperture(plane, diameter * m))
cutoff = diameter / (2 * 532e-9 * 0.1)

# %% A grating of 40 periods across the plane, 39 lines/mm, under light of growing extent. The object is an
# amplitude: dark and bright lines on a grey ground. Source points stand on the frequencies of the grid.
periods, step = 40, 1 / grid.extent[1]
x = torch.arange(128) - 64
wave = torch.cos(2 * math.pi * periods * x / 128).expand(1, 128, 128)
field = (1 + 0.5 * wave).to(torch.complex64)


def contrast(image: torch.Tensor) -> float:
    """Of the grating's own period."""
    order = torch.exp(-2j * math.pi * periods * x / 128)
    return float(2 * (image[0] * order).mean().abs() / image.mean())


for sigma in (0.0, 0.2, 0.5):
    reach = range(-16, 17)
    disk = [(a * step, b * step) for a in reach for b in reach if math.hypot(a, b) <= 32 * sigma]
    image = abbe_intensity(bench, field, ExtendedSource(disk, [1] * len(disk)))
    print(f"sigma {sigma:.1f}, {len(disk):3d} points: contrast {contrast(image):.3f}")

# %% A kernel whose outermost tap stands 10 pixels off the axis, in a band of the width that 21 pixels allow
# and in one four times as wide. The image of a spot by that tap is smeared over 10 B / lambda pixels.
kernel = torch.zeros(1, 1, 1, 21)
kernel[..., -1] = 1
taps = FourF(grid, 532 * nm, 100 * mm, MaskBank.from_kernels(kernel))
spot = torch.exp(-(x[:, None] ** 2 + x**2) / 4)[None].to(torch.complex64)  # intensity of variance 1
for width in (532 / 21, 4 * 532 / 21):
    image = intensity_over_wavelengths(taps, spot, Spectrum.flat(532 * nm, width * nm))
    profile = image[0].sum(0) / image.sum()
    variance = float((profile * (x - (profile * x).sum()) ** 2).sum())
    print(f"band {width:5.1f} nm: smeared over {math.sqrt(12 * (variance - 1)):.2f} pixels")

# %% Light without any coherence: the contrast is the autocorrelation of the stop.
s = periods * step / (2 * cutoff)
expected = 2 / math.pi * (math.acos(s) - s * math.sqrt(1 - s**2))
got = contrast(incoherent_intensity(bench, 1 + wave))
print(f"incoherent contrast at {2 * s:.2f} of the cut-off: {got:.3f}, closed form {expected:.3f}")
