# %% [markdown]
# A spiral phase plate for a 3-D printer, at a wavelength of 0.75 mm: it turns a picture into its edges.
# With a folder as argument the files and a picture stay there: python examples/19_printed_relief.py out

# %%
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from optics4f import FourF, Grid, PhaseMask, mm
from optics4f.fabrication import MaskSet, export_masks, read_back
from optics4f.fabrication.bench import bank_of, bench_of
from optics4f.fabrication.stl import read_stl
from optics4f.plotting import save
from optics4f.plotting.layouts import solid_panel
from optics4f.plotting.masks import image_panel, show_panels

scratch = TemporaryDirectory()
out = Path(sys.argv[1] if sys.argv[1:] else scratch.name)
torch.set_grad_enabled(False)

# %% Phase = azimuth, from +x towards +y; its centre stands half a pixel off the axis, where no pixel is.
y, x = torch.meshgrid(torch.arange(63) - 31 + 0.5, torch.arange(63) - 31 + 0.5, indexing="ij")
focal_length = 64 * 2.0 * 0.8 / 0.75 * mm  # pixels of 0.8 mm
masks = PhaseMask(torch.atan2(y, x)[None, None])
bench = FourF(Grid((64, 64), 2 * mm), 0.75 * mm, focal_length, masks, stop=(63, 63))
source = MaskSet({"spiral": bank_of(bench)})

# %% A polymer of index 1.7 on a base of 2 mm: sixteen steps as a solid, 65536 as a map of heights.
manifest = export_masks(source, out, ("stl", "tiff"), levels=16, material=1.7, base="2 mm")
how = manifest.banks["spiral"]["stl"]
print("files:", ", ".join(f"{file.path} {file.size} bytes" for file in manifest.files))
print(f"one wave is {how['height_2pi'] * 1e3:.4f} mm high, 0.75 mm / 0.7 = {0.75 / 0.7:.4f} mm")

# %% The solid is closed: every edge runs once each way. Its volume is that of the base and the mean height.
corners = read_stl(out / "spiral_O000_I000.stl").astype(np.float64)
edges = np.concatenate([corners[:, [k, (k + 1) % 3]] for k in range(3)]).reshape(-1, 6)
there, again = np.unique(edges, axis=0), np.unique(edges[:, [3, 4, 5, 0, 1, 2]], axis=0)
closed = len(there) == len(edges) and np.array_equal(there, again)
volume = np.einsum("ti,ti->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
t = {kind: read_back(out, kind).banks["spiral"].transmittance[0, 0] for kind in ("stl", "tiff")}
level = np.rint(np.angle(t["stl"]) * 16 / (2 * np.pi)) % 16
expected = (63 * 0.8) ** 2 * (2 + level.mean() / 16 * 0.75 / 0.7)
print(f"closed: {closed}; {volume:.3f} mm^3, by its levels {expected:.3f} mm^3")

# %% Heights become phases: one turn about the axis, the way it was drawn; a mirrored file would turn back.
wanted = source.banks["spiral"].transmittance[0, 0]
for kind, steps in (("stl", 16), ("tiff", 65536)):
    ring = t[kind][[31, 31, 30, 30], [31, 30, 30, 31]]  # the pixels about the axis, anticlockwise
    turns = np.angle(np.roll(ring, -1) / ring).sum() / (2 * np.pi)
    kept, closed_form = abs(np.mean(t[kind] * wanted.conj())) ** 2, np.sinc(1 / steps) ** 2
    print(
        f"{kind}: {turns:+.2f} turns, {kept:.4f} of the light in them, sinc^2(1/{steps}) = {closed_form:.4f}"
    )

# %% The letter F through the plate that was printed. A 4f system turns its picture over.
rows = "1111 1000 1110 1000 1000"
letter = torch.tensor([[float(dot) for dot in row] for row in rows.split()]).flip(-2)  # row 0 lowest
picture = torch.zeros(1, 64, 64)
picture[0, 12:52, 16:48] = letter.repeat_interleave(8, -2).repeat_interleave(8, -1)
light = bench_of(read_back(out, "stl").banks["spiral"]).intensity(picture + 0j)[0].flip(-1, -2)
figure = show_panels(
    "a printed spiral plate, 0.75 mm: phase is the azimuth",
    solid_panel(out / "spiral_O000_I000.stl", "the solid, z x 8", 8),
    image_panel(
        np.angle(t["stl"]) % (2 * np.pi),
        "phase of its heights",
        "rad",
        pitch=(0.8e-3,) * 2,
        colours="twilight",
    ),
    image_panel(picture[0], "picture", colours="Greys_r"),
    image_panel(light, "its edges, from the file", "W/m²"),
    columns=2,
)
save(figure, out / "relief.png")
scratch.cleanup()
