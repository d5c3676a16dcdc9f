# %% [markdown]
# Sums over channels, three ways: the best passive optics, a tree of beam splitters, and one mask with all
# kernels side by side; then what phase errors of the arms cost.

# %%
import torch

from optics4f import CoherentSum, FourF, Grid, MaskBank, mm, nm, um
from optics4f.elements.combiner import ChannelErrors, combining_efficiency
from optics4f.elements.tiling import TiledMask, TileLayout, read_tiles, stray_fraction, tile_inputs
from optics4f.fourier import invert
from optics4f.multiplexing import light_budget

torch.manual_seed(0)
pictures = torch.rand(4, 32, 32, dtype=torch.float64).to(torch.complex128)
kernels = torch.randn(6, 4, 5, 5, dtype=torch.float64)

# %% Four pictures, six sums: 36 samples per tile, and as many tiles as there are kernels.
layout = TileLayout(field=(32, 32), kernel=(5, 5), inputs=(2, 2), outputs=(2, 3))
print(f"tiles of {layout.tile} on a plane of {layout.shape}; a 2048 x 2048 mask holds", end=" ")
print(f"{layout.capacity((2048, 2048))} kernels")

# %% One mask, one 4f system, no beam splitter.
tiled = FourF(Grid(layout.shape, 8 * um), 532 * nm, 100 * mm, TiledMask(kernels, layout))
with torch.no_grad():
    output = invert(tiled(tile_inputs(pictures, layout, layout.shape)))
sums = read_tiles(output, layout)
print(f"{float(stray_fraction(output, layout)):.1%} of the light behind the mask falls beside the sums")

# %% The same layer as a bank of 24 masks, and what its sums cost in light.
plane = Grid(layout.tile, 8 * um)
bank = FourF(
    plane, 532 * nm, 100 * mm, MaskBank.from_kernels(kernels, "convolution"), combiner="beam_splitter"
)
budget = light_budget(bank, layout)
print("\n".join(map(str, budget)))

# %% Errors of 0.2 rad in the arms of 2000 devices: how much of a sum of 64 equal channels is left.
arms = torch.ones(64, 1, 1, dtype=torch.complex128).expand(2000, 64, 1, 1)
left = CoherentSum(errors=ChannelErrors((2000, 64), phase_error=0.2))(arms).abs().square().mean() / 64
print(f"phase errors of 0.2 rad leave {float(left):.2%}; expected {combining_efficiency(64, 0.2):.2%}")

# %% Both layers compute the same: the tiled sums are those of the bank, up to the ratio of the budget.
with torch.no_grad():
    padded = torch.nn.functional.pad(pictures, (2, 2, 2, 2))  # a dark surround, so that nothing wraps round
    expected = invert(bank(padded))[..., 2:-2, 2:-2] * (budget[2].amplitude / budget[1].amplitude)
error = float((sums - expected).abs().max() / expected.abs().max())
print(
    f"one tiled mask and 24 masks with beam splitters give the same sums: difference, relative: {error:.1e}"
)
