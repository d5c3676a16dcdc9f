# %% [markdown]
# Nine kernels on one mask: its point-spread function is an array of them, with guard bands between tiles.
# With a folder as argument the files and a picture stay there: python examples/20_tiling.py out

# %%
import math
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from optics4f import FourF, Grid, TiledMask, TileLayout, mm, nm, um
from optics4f.elements.tiling import read_tiles, tile_inputs
from optics4f.fabrication import MaskSet, export_masks, read_back
from optics4f.fabrication.bench import RebuiltBench, bank_of
from optics4f.fourier import crop_center
from optics4f.plotting import save
from optics4f.plotting.masks import Box, image_panel, show_panels

scratch = TemporaryDirectory()
out = Path(sys.argv[1] if sys.argv[1:] else scratch.name)
torch.set_grad_enabled(False)

# %% A tile of N + k - 1 samples holds a whole convolution; M samples hold floor(M / (N + k - 1)) in a row.
layout, plane = TileLayout((40, 40), (7, 7), outputs=(3, 3)), (275, 275)
side, (guard, _), smallest = layout.tile[0], layout.guard, layout.shape
print(f"tiles of {side} samples, guard bands of {guard}, {layout.capacity(smallest)} on {smallest}")
for pixels in ((1080, 1920), (2048, 2048)):
    many = TileLayout((224, 224), (7, 7)).capacity(pixels)
    print(f"pictures of 224 x 224 samples on {pixels[0]} x {pixels[1]}: {many} kernels of 7 x 7")

# %% Nine kernels of 7 x 7 samples: a blur, and around it slopes in eight directions.
y, x = torch.meshgrid(torch.arange(-3.0, 4.0), torch.arange(-3.0, 4.0), indexing="ij")
blur, steps = torch.exp(-(x**2 + y**2) / 4), (-1, 0, 1)
slopes = [blur * (x * i + y * j) if i or j else blur for j in steps for i in steps]
kernels = torch.stack(slopes)[:, None]

# %% One bench for all. Double phase wants the tiles in the middle of a window of twice their samples.
focal_length = 275 * 8e-6 * 2 * 8e-6 / 532e-9 * 1e3 * mm  # pixels of 8 um
bench = FourF(Grid(plane, 8 * um), 532 * nm, focal_length, TiledMask(kernels, layout), invert_output=False)
source = MaskSet({"tiles": bank_of(bench)})
(file,) = export_masks(source, out, ("bitmap",), encoding="double-phase").files
made = RebuiltBench(read_back(out, "bitmap").banks["tiles"])
print(f"{file.path}: {file.size} bytes")

# %% The letter F through the file: nine convolutions side by side, against those of conv2d, which correlates.
rows = "1111 1000 1110 1000 1000"
letter = torch.tensor([[float(dot) for dot in row] for row in rows.split()]).flip(-2)  # row 0 lowest
picture = torch.zeros(1, 40, 40)
picture[0, 5:35, 8:32] = letter.repeat_interleave(6, -2).repeat_interleave(6, -1)
light = tile_inputs(picture + 0j, layout, plane)
fields = {"bench": bench(light), "file": crop_center(made(light), plane)}
wanted = torch.nn.functional.conv2d(picture[None], kernels.flip(-1, -2), padding=3)[0]
gains = {}
for name, field in fields.items():
    tiles = read_tiles(field, layout).real
    gains[name] = (tiles * wanted).sum((-2, -1)) / wanted.square().sum((-2, -1))
    missed = (tiles / gains[name][:, None, None] - wanted).norm(dim=(-2, -1)) / wanted.norm(dim=(-2, -1))
    print(f"{name}: differs from conv2d by {float(missed.min()):.0e} to {float(missed.max()):.0e}")

# %% Super-pixels of 2 x 2 dim what stands aside by a cosine of its distance, the corners by two of them.
dimmed, cosine = (gains["file"] / gains["bench"]).reshape(3, 3), math.cos(math.pi * side / (2 * plane[0]))
print(f"tiles beside the middle: {float(dimmed[1, 0]):.3f} of its amplitude, cos = {cosine:.3f}")
print(f"tiles at the corners: {float(dimmed[0, 0]):.3f}, cos^2 = {cosine**2:.3f}")


# %% The picture: guard bands are what lies between the tiles and what is read of them.
def boxes(corners: list[tuple[int, int]], size: int, start: int) -> list[Box]:
    return [(y - start, y - start + size, x - start, x - start + size) for y, x in corners]


point = torch.zeros(1, *plane, dtype=torch.complex64)
point[0, 137, 137] = 1
psf, output = crop_center(made(point), plane)[0].abs(), fields["file"][0, 62:213, 62:213].real
corners, grey = layout.output_corners(plane), np.asarray(Image.open(out / file.path))
marks = {"kernels": boxes(layout.kernel_corners(plane), 7, 0)}
parts = {"tiles": boxes(corners, side, 62), "what is read": boxes(corners, 40, 62 - guard // 2)}
figure = show_panels(
    "nine kernels side by side on one mask",
    image_panel(grey[225:325, 225:325], "middle of the file", "grey", colours="Greys_r", top_first=True),
    image_panel(psf, "its point-spread function", "|U|", boxes=marks),
    image_panel(output, "output plane", "Re U", colours="RdBu_r", limits=(-0.3, 0.3), boxes=parts),
)
save(figure, out / "tiling.png")
scratch.cleanup()
