# %% [markdown]
# One bank of kernels for four makers: modulator, mirrors, grey-scale lithography, printer; all read back.

# %%
import math
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from optics4f import FourF, Grid, MaskBank, mm, nm, um
from optics4f.fabrication import MaskSet, export_masks, read_back
from optics4f.fabrication.bench import bank_of
from optics4f.fabrication.devices import Modulator
from optics4f.fabrication.export import double_phase_bank, lee_bank

# %% Two 5 x 5 kernels. The focal length puts the samples of the Fourier plane on pixels of 8 um.
torch.manual_seed(0)
focal_length = 64 * 8e-6 * 8e-6 / 532e-9 * 1e3 * mm
bench = FourF(
    Grid((64, 64), 8 * um),
    532 * nm,
    focal_length,
    MaskBank.from_kernels(torch.randn(2, 1, 5, 5)),
    stop=(63, 63),
)
bank = bank_of(bench)
masks = MaskSet({"edges": bank})
print(f"masks of {bank.transmittance.shape[-1]} pixels at {bank.pitch[1] * 1e6:.3f} um")

# %% The modulator has a measured list short of a wave, and the other sign; double phase halves the pixels.
bent = tuple(1.8 * np.pi * (np.arange(256) / 255) ** 1.2)
slm = Modulator("slm", (1080, 1920), 4 * um, 532 * nm, lut=bent, sign="minus_phase")
dmd = Modulator("dmd", (1080, 1920), 8 * um, 532 * nm, bits=1)


# %% Export, read back, and compare with what was to be drawn: the largest error of t.
def made(name: str, masks: MaskSet, drawn: np.ndarray, **options: Any) -> float:
    with TemporaryDirectory() as folder:
        manifest = export_masks(masks, folder, (name,), **options)
        back = read_back(folder, name).banks["edges"].transmittance
    print(f"{name}: {len(manifest.files)} files, {sum(file.size for file in manifest.files)} bytes")
    return float(np.abs(back - drawn).max())


on_slm = made("bitmap", masks, double_phase_bank(bank).transmittance, encoding="double-phase", device=slm)
on_dmd = made("bitmap", masks, lee_bank(bank).transmittance, encoding="lee", device=dmd)

# %% A relief takes the phases alone here: a kinoform, for lithography and for a printer.
kinoform = replace(bank, transmittance=np.exp(1j * np.angle(bank.transmittance)), encoding="phase")
relief = {"material": "fused-silica", "levels": 16, "base": "0.1 mm"}
heights = made("tiff", MaskSet({"edges": kinoform}), kinoform.transmittance, **relief)
solid = made("stl", MaskSet({"edges": kinoform}), kinoform.transmittance, **relief)
print(
    f"largest error of t: modulator {on_slm:.3f}, mirrors {on_dmd:.0e}, tiff {heights:.0e}, stl {solid:.3f}"
)

# %% Mirrors miss nothing; the others at most half of: the gap beyond 1.8 pi, 2 pi / 65536, 2 pi / 16.
limits = [2 * math.sin(gap / 4) + 1e-6 for gap in (0.2 * math.pi, 2 * math.pi / 65536, 2 * math.pi / 16)]
within = all(error <= limit for error, limit in zip((on_slm, heights, solid), limits, strict=True))
print(f"mirrors exact: {on_dmd == 0}; within the closed forms: {within}")
