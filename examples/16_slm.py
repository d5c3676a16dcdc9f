# %% [markdown]
# A bitmap for a phase modulator: its pixels, its measured list of phases, its sign; what the file computes.
# With a folder as argument the files and a picture stay there: python examples/16_slm.py out

# %%
import math
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from optics4f import FourF, Grid, MaskBank, mm, nm, um
from optics4f.fabrication import MaskSet, export_masks, read_back
from optics4f.fabrication.bench import RebuiltBench, bank_of, bench_of
from optics4f.fabrication.devices import Modulator, device_greys
from optics4f.fabrication.export import double_phase_bank
from optics4f.fourier import crop_center
from optics4f.plotting import save
from optics4f.plotting.masks import Curve, curve_panel, image_panel, show_panels

scratch = TemporaryDirectory()
out = Path(sys.argv[1] if sys.argv[1:] else scratch.name)
torch.set_grad_enabled(False)

# %% The letter F, and a kernel for its edges along x.
rows = "1111 1000 1110 1000 1000"
letter = torch.tensor([[float(dot) for dot in row] for row in rows.split()]).flip(-2)  # row 0 lowest
picture = torch.zeros(1, 512, 512)
picture[0, 176:336, 192:320] = letter.repeat_interleave(32, -2).repeat_interleave(32, -1)
sobel = torch.tensor([[[[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]]]])

# %% The focal length puts two pixels of 8 um on each sample of the Fourier plane: double phase needs both.
focal_length = 512 * 16e-6 * 2 * 8e-6 / 532e-9 * 1e3 * mm
kernels = MaskBank.from_kernels(sobel)
bench = FourF(Grid((512, 512), 16 * um), 532 * nm, focal_length, kernels, stop=(511, 511))
source = MaskSet({"edges": bank_of(bench)})

# %% The modulator: measured at 633 nm, not linear, more than a wave at 532 nm, and grey is minus the phase.
listed = tuple(2.1 * math.pi * (grey / 255) ** 1.3 for grey in range(256))
slm = Modulator("slm", (1080, 1920), 8 * um, 633 * nm, lut=listed, sign="minus_phase")
manifest = export_masks(source, out, ("bitmap",), encoding="double-phase", device=slm)
file, (top, left) = manifest.files[0], manifest.banks["edges"]["bitmap"]["window"]
rest = 1080 - 1022 - top, 1920 - 1022 - left
print(f"{file.path}: 1022 x 1022 pixels, {top} above, {rest[0]} below, {left} and {rest[1]} beside them")

# %% Read back through the list. No phase is further off than half of the widest step between greys.
back = read_back(out, "bitmap").banks["edges"]
shown = np.sort(np.angle(slm.transmittance(532e-9)) % (2 * np.pi))
gap = np.diff(shown, append=shown[0] + 2 * np.pi).max()
missed = np.abs(back.transmittance - double_phase_bank(source.banks["edges"]).transmittance).max()
print(f"largest error of t: {missed:.4f}, at most 2 sin(gap / 4) = {2 * math.sin(gap / 4):.4f}")

# %% On its bench the file gives the edges about the axis; what it does not want lies far from it.
plane = RebuiltBench(back)(picture + 0j)[0]
wanted = bench_of(source.banks["edges"])(picture + 0j)[0]
near, edges = crop_center(plane, (255, 255)), crop_center(wanted, (255, 255))
gain = float((near * edges.conj()).sum().real / edges.abs().square().sum())
error = float((near / gain - edges).norm() / edges.norm())
parts = [float(light.abs().square().sum() / picture.sum()) for light in (near, edges, plane)]
print(f"edges of the file: amplitude {gain:.4f} of those of the kernel, the rest differs by {error:.1%}")
print(f"light in them {parts[0]:.2%}, of the kernel {parts[1]:.2%}; in the whole plane {parts[2]:.1%}")

# %% The picture. A 4f system turns its picture over; the window is what the kernel's own bench sees.
grey, turns = np.asarray(Image.open(out / file.path)), np.arange(512) / 512
greys = Curve(turns, device_greys(slm, np.exp(2j * np.pi * turns), 532e-9), style=".")
window = {"window of the kernel": [(256, 767, 256, 767)]}
figure = show_panels(
    "edges on a phase modulator: double phase, a measured list of greys",
    image_panel(grey, "the file", "grey", colours="Greys_r", top_first=True),
    image_panel(grey[500:580, 900:1020], "about its middle", "grey", colours="Greys_r", top_first=True),
    curve_panel("grey that shows a phase", "phase [waves]", "grey", greys),
    image_panel(crop_center(picture[0], (255, 255)), "picture", colours="Greys_r"),
    image_panel(near.flip(-1, -2).abs().square(), "its edges, from the file", "W/m²"),
    image_panel(plane.abs().square(), "the whole output plane", "W/m²", log=1e-5, boxes=window),
    columns=3,
)
save(figure, out / "slm.png")
scratch.cleanup()
