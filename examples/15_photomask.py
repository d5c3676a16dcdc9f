# %% [markdown]
# Masks for a mask shop: a bank of matched filters as a 16-level relief in fused silica, in GDSII and OASIS.
# With a folder as argument the files and a picture stay there: python examples/15_photomask.py out

# %%
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from optics4f import FourF, Grid, MaskBank, PhaseMask, mm, nm, um
from optics4f.fabrication import MaskSet, export_masks, read_back
from optics4f.fabrication.bench import bank_of, bench_of
from optics4f.fabrication.layout import write_layout
from optics4f.fabrication.marks import Marks, Wafer
from optics4f.fabrication.relief import etch_masks, quantise_phase
from optics4f.fabrication.rules import Rules, check_rules
from optics4f.plotting import save
from optics4f.plotting.layouts import layout_panel, wafer_panel
from optics4f.plotting.masks import Curve, curve_panel, image_panel, show_panels

scratch = TemporaryDirectory()
out = Path(sys.argv[1] if sys.argv[1:] else scratch.name)
torch.set_grad_enabled(False)

# %% Four letters of 10 x 8 samples, each alone and all in one scene.
rows = {"F": "1111 1000 1110 1000 1000", "L": "1000 1000 1000 1000 1111"}
rows |= {"T": "1111 0110 0110 0110 0110", "Z": "1111 0010 0100 1000 1111"}
letters = torch.tensor([[[float(dot) for dot in row] for row in text.split()] for text in rows.values()])
letters = letters.flip(-2).repeat_interleave(2, -2).repeat_interleave(2, -1)[:, None]  # row 0 lowest
alone = torch.zeros(4, 1, 64, 64)
for k, (y, x) in enumerate([(40, 12), (38, 44), (12, 10), (14, 42)]):
    alone[k, 0, y : y + 10, x : x + 8] = letters[k, 0]

# %% The phase of the conjugate transform is a matched filter that loses no light: a letter becomes a spot.
grid, focal_length = Grid((64, 64), 8 * um), 64 * 8e-6 * 8e-6 / 532e-9 * 1e3 * mm  # pixels of 8 um
kernels = FourF(grid, 532 * nm, focal_length, MaskBank.from_kernels(letters), stop=(63, 63))
filters = FourF(grid, 532 * nm, focal_length, PhaseMask(kernels.transmittance().angle()), stop=(63, 63))
ramp = (2 * torch.pi * (torch.arange(64) + 0.5) / 64).expand(1, 1, 64, 64).clone()
source = MaskSet(
    {"letters": bank_of(filters), "blaze": bank_of(FourF(grid, 532 * nm, focal_length, PhaseMask(ramp)))}
)

# %% Files for the shop, and one for a whole wafer.
manifest = export_masks(source, out, ("gds", "oas"), levels=16, material="fused-silica", marks=True)
layout = manifest.banks["letters"]["layout"]
depths = {row["layer"]: f"{row['etch_depth'] * 1e9:.1f} nm" for row in layout["layers"] if "bit" in row}
wafer, index = Wafer("50 mm", "3 mm"), layout["refractive_index"]
write_layout(out / "wafer.oas", source.banks["letters"], "letters", 16, index, marks=Marks(), wafer=wafer)
print("etch depths:", ", ".join(f"layer {layer} {depth}" for layer, depth in depths.items()))
print("files:", ", ".join(f"{file.path} {file.size} bytes" for file in manifest.files))

# %% Read back, and put on the bench. Sixteen levels take sinc^2(1/16) of a spot, as they do of a blaze.
back = {kind: read_back(out, kind).banks for kind in ("gds", "oas")}
ideal, made = bench_of(source.banks["letters"]), bench_of(back["oas"]["letters"])
bright = [bench.intensity(alone + 0j).amax((-2, -1)).diagonal() for bench in (ideal, made)]
point = torch.zeros(1, 64, 64, dtype=torch.complex64)
point[0, 32, 32] = 1
line, orders = bench_of(back["gds"]["blaze"]).intensity(point)[0, 32].numpy(), np.arange(64) - 32
efficiency = line / line.sum() * np.sinc(orders / 64) ** 2  # square pixels
kept = ", ".join(f"{part:.3f}" for part in bright[1] / bright[0])
print(f"spots of {', '.join(rows)} keep {kept} of their light")
print(f"blaze: {efficiency[32 + 1]:.4f} in the first order; sinc^2(1/16) = {np.sinc(1 / 16) ** 2:.4f}")

# %% What a shop that writes 1 um, and wants no pixels that touch by a corner, would say to the letter F.
level = quantise_phase(np.angle(back["oas"]["letters"].transmittance[0, 0]), 16)
report = check_rules(etch_masks(level, 16), back["oas"]["letters"].pitch, Rules("1 um", "1 um"))
print(report)

# %% The picture; of the broken rules those of layer 1. A 4f system turns its picture over.
scene = alone.sum(0)
seen = made.intensity(scene + 0j).flip(-1, -2)
found = {name: divmod(int(spot.argmax()), 63) for name, spot in zip(rows, seen, strict=True)}
boxes = {f"brightest through {name}": [(y - 3, y + 4, x - 3, x + 4)] for name, (y, x) in found.items()}
hits = {f"{v.rule}: {v.count}, the first ten": v.places for v in report.violations if v.layer == "1"}
names = {layer: f"layer {layer}, {depth}" for layer, depth in depths.items()}
bars = Curve(orders, efficiency, style="bar")
figure = show_panels(
    "matched filters in fused silica: 16 levels from 4 etch masks, 532 nm",
    wafer_panel(out / "wafer.oas", "LETTERS_WAFER", "wafer", 50e-3, 3e-3),
    layout_panel(out / "letters.oas", "LETTERS_TOP", "dies with their marks"),
    layout_panel(out / "letters.oas", "LETTERS_O000_I000", "die of the letter F", names),
    image_panel(level * layout["height_2pi"] / 16 * 1e9, "its height", "nm", colours="viridis"),
    image_panel(etch_masks(level, 16)[0], "its layer 1, broken rules", colours="Greys", boxes=hits),
    image_panel(scene[0], "scene", colours="Greys_r"),
    image_panel(seen.amax(0), "scene through the masks of the file", "W/m²", boxes=boxes),
    curve_panel("blaze of the file", "order", "part of the light", bars, log=True, limits=(1e-4, 2)),
    columns=4,
)
save(figure, out / "photomask.png")
scratch.cleanup()
