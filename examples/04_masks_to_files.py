# %% [markdown]
# From kernels to files for a mask shop, and back: what is lost on the way.

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from optics4f import FourF, Grid, MaskBank, mm, nm, um
from optics4f.fabrication import MaskSet, export_masks, read_back
from optics4f.fabrication.bench import bank_of, bench_of

# %% Four 5 x 5 kernels, a stop of 31 x 31 samples.
torch.manual_seed(0)
bench = FourF(
    Grid((64, 64), 8 * um), 532 * nm, 100 * mm, MaskBank.from_kernels(torch.randn(4, 1, 5, 5)), stop=(31, 31)
)
print(bench)

# %% The masks are complex; a relief and a phase modulator are not. Double phase encodes one in the other.
masks = MaskSet({"edges": bank_of(bench)})
picture = torch.rand(1, 64, 64).to(torch.complex64)
with TemporaryDirectory() as folder:
    masks.save(Path(folder) / "masks.h5")
    manifest = export_masks(
        masks, folder, ("gds", "bitmap"), levels=16, encoding="double-phase", material="fused-silica"
    )
    layout = manifest.files[0]
    print(f"{len(manifest.files)} files, the first is {layout.path} with {layout.size} bytes")
    for name in ("gds", "bitmap"):
        bank = read_back(folder, name).banks["edges"]
        side, pitch = bank.transmittance.shape[-1], bank.pitch[1] * 1e6
        print(f"{name}: {side} pixels a side at {pitch:.2f} um, |t| = 1")
    stored = MaskSet.load(Path(folder) / "masks.h5").banks["edges"]

# %% The stored bank gives the same field as the bench it came from.
with torch.no_grad():
    before, after = bench(picture), bench_of(stored)(picture)
print(f"difference, relative: {float((before - after).norm() / before.norm()):.1e}")
