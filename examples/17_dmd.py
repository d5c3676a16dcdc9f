# %% [markdown]
# Complex masks on mirrors that are on or off: fringes of changing width and place, and where light goes.
# With a folder as argument the files and a picture stay there: python examples/17_dmd.py out

# %%
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from optics4f import FourF, Grid, MaskBank, mm, nm, um
from optics4f.design import LEE_GAIN, carrier_offset, carrier_report, lee_hologram
from optics4f.fabrication import MaskSet, export_masks, read_back
from optics4f.fabrication.bench import bank_of, bench_of
from optics4f.fabrication.devices import Modulator
from optics4f.fourier import crop_center
from optics4f.plotting import save
from optics4f.plotting.masks import image_panel, show_panels

scratch = TemporaryDirectory()
out = Path(sys.argv[1] if sys.argv[1:] else scratch.name)
torch.set_grad_enabled(False)

# %% The letter F, and a kernel that adds a copy of half the height, 20 samples to the right and 16 up.
rows = "1111 1000 1110 1000 1000"
letter = torch.tensor([[float(dot) for dot in row] for row in rows.split()]).flip(-2)  # row 0 lowest
picture, copy = torch.zeros(1, 512, 512), torch.zeros(1, 1, 41, 41)
picture[0, 236:276, 240:272] = letter.repeat_interleave(8, -2).repeat_interleave(8, -1)
copy[0, 0, 20, 20], copy[0, 0, 20 + 16, 20 + 20] = 1.0, 0.5

# %% The focal length puts a sample of the Fourier plane on each mirror.
pitch, masks = 7.56e-6, MaskBank.from_kernels(copy, "convolution")
focal_length = 512 * 16e-6 * pitch / 532e-9 * 1e3 * mm
bank = bank_of(FourF(Grid((512, 512), 16 * um), 532 * nm, focal_length, masks, stop=(511, 511)))

# %% A carrier of 4 mirrors meets four places of a fringe only; one of 511 / 100 meets all, and errs less.
holograms = {period: lee_hologram(bank.transmittance, period) for period in (4, 5.11)}
reports = {p: carrier_report(bank.transmittance, shown, p, LEE_GAIN) for p, shown in holograms.items()}
report, amplitude = reports[5.11], np.minimum(np.abs(bank.transmittance), 1)
duty = np.arcsin(amplitude) / np.pi  # w, the part of a fringe that is on
print("error of t, r.m.s.:", ", ".join(f"{p} mirrors {r.error:.2f}" for p, r in reports.items()))
print(f"first order {report.efficiency:.4f}, <A^2>/pi^2 = {np.mean(amplitude**2) / np.pi**2:.4f}")
print(f"zero order {report.zero_order:.4f}, <w^2> = {np.mean(duty**2):.4f}")
print(f"off {report.absorbed:.4f}, 1 - <w> = {1 - np.mean(duty):.4f}")

# %% One bit for each mirror, the mask in the middle; read back there is not a mirror wrong.
dmd = Modulator("dmd", (1080, 1920), pitch * 1e6 * um, 532 * nm, bits=1)
shown = replace(bank, transmittance=holograms[5.11].astype(np.complex64), encoding="amplitude")
(file,) = export_masks(MaskSet({"copy": shown}), out, ("bitmap",), device=dmd).files
back = read_back(out, "bitmap").banks["copy"]
print(f"{file.path}: {file.size} bytes, {np.sum(back.transmittance != shown.transmittance)} mirrors wrong")

# %% On its bench: a stop around the first order, 100 samples from the axis, takes out what was wanted.
plane, wanted = bench_of(back)(picture + 0j)[0], crop_center(bench_of(bank)(picture + 0j)[0], (99, 99))
spacing = 512 * 16e-6 / 511  # of the samples of the output plane
aside = round(carrier_offset(bank.wavelength, bank.second_focal_length, pitch, 5.11) / spacing)
places = {order: (206, 305, 206 + order * aside, 305 + order * aside) for order in (0, 1, -1)}
first = plane[206:305, 206 + aside : 305 + aside]
gain = float((first * wanted.conj()).sum().real / wanted.abs().square().sum())
missed = float((first / gain - wanted).norm() / wanted.norm())
print(f"first order {aside} samples aside: {gain * np.pi:.3f} / pi of what was wanted, the rest {missed:.0%}")
light = plane.abs().square()
for order, (low, high, left, right) in places.items():
    print(f"order {order}: {float(light[low:high, left:right].sum() / picture.sum()):.1%} of the light")

# %% The picture. A 4f system turns its picture over; the minus first order has the kernel turned over again.
mirrors, boxes = np.asarray(Image.open(out / file.path)), {f"order {n}": [box] for n, box in places.items()}
figure = show_panels(
    "a complex mask on mirrors: Lee's hologram, fringes of 5.11 mirrors",
    image_panel(mirrors, "the file, one bit for each mirror", colours="Greys_r", top_first=True),
    image_panel(mirrors[500:560, 920:980], "about its middle", colours="Greys_r", top_first=True),
    image_panel(crop_center(picture[0], (99, 99)), "picture", colours="Greys_r"),
    image_panel(light, "output plane of the file", "W/m²", log=1e-4, boxes=boxes),
    image_panel(first.flip(-1, -2).abs() * np.pi, "first order, turned upright", "π|U|"),
    image_panel(wanted.flip(-1, -2).abs(), "what the kernel gives", "|U|"),
    columns=3,
)
save(figure, out / "dmd.png")
scratch.cleanup()
