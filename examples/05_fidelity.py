# %% [markdown]
# How ideal the ideal lenses are: one 4f system by Fourier transforms and by light that goes the whole way.

# %%
import torch

from optics4f.wave import agreement, documented_case, wave_grid

torch.set_num_threads(1)  # so that the times are those of one core

# %% The bench: 64 x 64 pixels of 8 um, 532 nm, two lenses of 100 mm, the Laplacian; a picture of four spots.
bench, field = documented_case()
print(bench)

# %% Real light needs a wider plane: from the edge of the input it walks 3.3 mm sideways to the lens.
print(f"free space is computed on {wave_grid(bench)}")

# %% Every method against ideal lenses: the largest difference, relative to the largest field.
for row in agreement(bench, field):
    print(f"{row.method:<40} {row.relative_error:8.1e} {row.seconds * 1e3:9.1f} ms")
