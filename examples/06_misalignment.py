# %% [markdown]
# How a shifted mask shows: small kernels hardly notice, large ones do, and a gradient finds the shift again.

# %%
import torch

from optics4f import FourF, Grid, MaskBank, mm, nm, perturbed, um

torch.manual_seed(0)
grid = Grid((224, 224), 8 * um)
field = torch.rand(1, 224, 224).to(torch.complex64)


def bench(kernel_size: int, dtype: torch.dtype = torch.float32) -> FourF:
    kernels = torch.randn(1, 1, kernel_size, kernel_size, dtype=dtype)
    return FourF(grid, 532 * nm, 100 * mm, MaskBank.from_kernels(kernels, trainable=False))


# %% A mask 30 um off axis turns the phase of its kernel. A small real kernel hides that from a camera.
for kernel_size in (7, 101):
    system = bench(kernel_size)
    with torch.no_grad():
        nominal, shifted = system(field), perturbed(system, mask_shift=(0 * um, 30 * um))(field)
    change = (shifted - nominal).norm() / nominal.norm()
    seen = (shifted.abs() ** 2 - nominal.abs() ** 2).norm() / (nominal.abs() ** 2).norm()
    print(f"{kernel_size:3d} x {kernel_size} kernel: field changes by {change:.1%}, intensity by {seen:.1%}")

# %% A shift is found from a picture of the output, if the kernel is large and complex: with a real kernel and
# a real picture, opposite shifts give conjugate fields, and the camera cannot tell them apart.
system = bench(101, torch.complex64)
with torch.no_grad():
    measured = perturbed(system, mask_shift=("3 um", "-5 um"))(field).abs() ** 2
shift = torch.zeros(2, requires_grad=True)  # in um, so that steps are of order 1
optimizer = torch.optim.LBFGS([shift], max_iter=60, line_search_fn="strong_wolfe")


def loss() -> torch.Tensor:
    optimizer.zero_grad()
    seen = perturbed(system, mask_shift=1e-6 * shift)(field).abs() ** 2
    error = (seen - measured).square().sum() / measured.square().sum()
    error.backward()
    return error


optimizer.step(loss)
y, x = shift.tolist()
print(f"found a shift of {y:.2f} um and {x:.2f} um; hidden were 3 and -5")
