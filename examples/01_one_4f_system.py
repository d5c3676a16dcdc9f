# %% [markdown]
# One 4f system: what stands on the table, what it says of itself, and what it does to a picture.

# %%
import torch

from optics4f import AmplitudeEncoding, FourF, Grid, IntensityDetector, MaskBank, mm, mW, nm, um
from optics4f.functional import power

# %% The bench: a display of 224 x 224 pixels, two lenses, one mask that takes the Laplacian.
grid = Grid(shape=(224, 224), spacing=8 * um)
laplacian = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
bench = FourF(grid, 532 * nm, 100 * mm, MaskBank.from_kernels(laplacian[None, None]))
print(bench)

# %% A bright square on the display, lit with 1 mW.
picture = torch.zeros(1, 224, 224)
picture[:, 60:120, 80:180] = 1
field = AmplitudeEncoding(grid, power=1 * mW)(picture)

# %% The light goes through; the sensor sees the edges of the square, turned by 180 degrees.
output = bench(field)
frame = IntensityDetector(bench.output_grid, pixels=(224, 224))(output)
lit, passed = float(power(field, grid.cell_area).sum()), float(frame.detach().sum())
print(f"power on the mask {lit * 1e3:.3f} mW, on the sensor {passed * 1e3:.5f} mW: {passed / lit:.2%} passes")

# %% The bench computes conv2d, up to its passive scale and the inversion.
upright = output.flip((-2, -1)).roll((1, 1), (-2, -1)).real.detach()
wrapped = torch.nn.functional.pad(field.real[None], (1, 1, 1, 1), mode="circular")
expected = torch.nn.functional.conv2d(wrapped, laplacian[None, None])[0]
scale = 10 ** (sum(bench.scale_db()) / 20)
difference = (upright / scale - expected).abs().max() / expected.abs().max()
print(f"largest difference from conv2d, relative: {float(difference):.1e}")
