# %% [markdown]
# A metasurface: posts from a library, here a closed form, that make a point the letter F; and their files.
# With a folder as argument the files and a picture stay there: python examples/18_metasurface.py out

# %%
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import gdstk
import numpy as np
import torch

from optics4f import FourF, Grid, PhaseMask, mm, nm, um
from optics4f.design import retrieve_phase
from optics4f.fabrication import MaskSet, export_masks, read_back
from optics4f.fabrication.bench import bank_of, bench_of
from optics4f.fabrication.materials import refractive_index
from optics4f.fabrication.metasurface import load_library, write_posts
from optics4f.plotting import save
from optics4f.plotting.layouts import posts_panel
from optics4f.plotting.masks import Curve, curve_panel, image_panel, show_panels

scratch = TemporaryDirectory()
out = Path(sys.argv[1] if sys.argv[1:] else scratch.name)
out.mkdir(exist_ok=True)

# %% A library, for want of a solver: posts of TiO2 in air as a plate of their mean permittivity, 700 nm
# thick, with its reflections. A real library is computed, for posts as they are.
cell, wavelength, diameter = 350e-9, 532e-9, np.arange(80, 312, 2) * 1e-9
share = np.pi / 4 * (diameter / cell) ** 2
n = np.sqrt(1 + share * (refractive_index("tio2-film", wavelength) ** 2 - 1))
beta = 2 * np.pi * n * 700e-9 / wavelength
plates = 1 / (np.cos(beta) - 0.5j * (n + 1 / n) * np.sin(beta))
table = np.stack([diameter * 1e9, np.unwrap(np.angle(plates)), np.abs(plates)], axis=1)
np.savetxt(out / "posts.csv", table, delimiter=",", header="diameter nm, phase rad, |t|", comments="")
library = load_library(out / "posts.csv", "350 nm", "532 nm").allowed("100 nm", "50 nm")
print(f"{len(library.size)} of {len(plates)} posts have sides of 100 nm and gaps of 50 nm")

# %% A point is to become the letter F in spots, by phase alone; light beside them is free.
rows = "1111 1000 1110 1000 1000"
target = torch.zeros(128, 128)
target[48:88:8, 48:80:8] = torch.tensor([[float(dot) for dot in row] for row in rows.split()]).flip(-2)
plate = retrieve_phase(target, weight=target, efficiency_weight=0.05, gs_steps=30, steps=30)

# %% Each mask pixel of 1.4 um is 4 x 4 cells; the focal length makes it a sample of the Fourier plane.
focal_length, masks = 128 * 8e-6 * 4 * cell / wavelength * 1e3 * mm, PhaseMask(plate.phase[None, None])
bench = FourF(Grid((128, 128), 8 * um), 532 * nm, focal_length, masks, invert_output=False)
bank = bank_of(bench)
entry = export_masks(MaskSet({"spots": bank}), out, ("metasurface",), library=library).banks["spots"]
write_posts(out / "spots_posts.gds", bank, entry["metasurface"])
cells = {part.name: part for part in gdstk.read_oas(str(out / "spots_posts.oas")).cells}
posts = sum(max(1, reference.repetition.size) for reference in cells["SPOTS_O000_I000"].references)
sizes = [(out / f"spots_posts.{kind}").stat().st_size for kind in ("oas", "gds")]
print(f"{posts} posts of {len(cells) - 1} kinds: OASIS {sizes[0]} bytes, GDSII {sizes[1]} bytes")
residual = [entry["metasurface"][f"residual_{name}"] for name in ("rms", "max")]
print(f"nearest posts: t is off by {residual[0]:.3f} r.m.s., {residual[1]:.3f} at most")

# %% Measured posts on the bench. Errors that know nothing of the spots leave |<t t*>|^2 of their light.
back = read_back(out, "metasurface").banks["spots"]
point = torch.zeros(1, 128, 128, dtype=torch.complex64)
point[0, 64, 64] = 1
with torch.no_grad():
    designed, psf = bench.intensity(point)[0], bench_of(back).intensity(point)[0]
kept = float(psf[target > 0].sum() / designed[target > 0].sum())
overlap = abs(np.mean(back.transmittance * bank.transmittance.conj())) ** 2
print(f"spots: {float(plate.efficiency):.3f} of the light by design, of that {kept:.3f} in the file")
print(f"|<t t*>|^2 = {overlap:.3f}")

# %% The picture.
phase, modulus = Curve(table[:, 0], table[:, 1] / 2 / np.pi, "phase"), Curve(table[:, 0], table[:, 2], "|t|")
circle, made = np.exp(2j * np.pi * np.arange(201) / 200), library.transmittance
wanted, there = Curve(circle.real, circle.imag, "wanted"), Curve(made.real, made.imag, "can be made", ".")
window = (-4.2, -4.2, 4.2, 4.2)
figure = show_panels(
    f"{posts} posts of TiO2 make a point the letter F, 532 nm",
    curve_panel("library", "diameter [nm]", "phase [waves], |t|", phase, modulus),
    curve_panel("posts and what is wanted", "Re t", "Im t", wanted, there, equal=True),
    posts_panel(out / "spots_posts.oas", "SPOTS_O000_I000", "posts about the axis", window),
    image_panel(plate.phase, "phase of the mask", "rad", pitch=back.pitch, colours="twilight"),
    image_panel(target[32:96, 32:96], "wanted about the axis"),
    image_panel(psf[32:96, 32:96], "point-spread function of the file", "W/m²"),
    columns=3,
)
save(figure, out / "metasurface.png")
scratch.cleanup()
