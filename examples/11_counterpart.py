# %% [markdown]
# Any CNN becomes its optical, linear counterpart: here one of a user's own, written with functions.

# %%
import torch
from torch import nn
from torch.nn import functional as F

from optics4f.models.bench_design import BenchDesign
from optics4f.models.counterpart import counterpart
from optics4f.models.teachers import UNet

torch.manual_seed(0)


class OwnCNN(nn.Module):
    def __init__(self, bend):
        super().__init__()
        self.bend = bend
        self.first = nn.Conv2d(3, 8, 5, padding=2, padding_mode="circular")
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 12, 3, padding=2, dilation=2, groups=4, padding_mode="circular")
        self.last = nn.Linear(12, 10)

    def forward(self, x):
        x = self.bend(self.norm(self.first(x)))
        return self.last(self.bend(self.second(x)).mean((2, 3)))


# %% The bench, and what becomes of every node. A mean over the plane is a stop that lets one frequency pass.
bench = BenchDesign(spacing="8 um", wavelength="532 nm", focal_length="100 mm")
teacher = OwnCNN(F.relu).double().eval()
student = counterpart(teacher, (3, 33, 32), bench, readout="strict").eval()
print("\n".join(student.steps))
print(student.optics)

# %% It is what its name says: affine, passive, one bank of masks in the end, one sensor.
pictures = torch.rand(4, 3, 33, 32, dtype=torch.float64)
print(student.audit(pictures))

# %% A U-Net contracts in optics and expands in electronics; each skip connection is one more detection.
for skips in ("detect", "drop"):
    print(f"U-Net, skips {skips}: {counterpart(UNet(3, 2), (3, 32, 32), bench, skips=skips).cost()}")

# %% What it does not do like a CNN, it refuses by name.
try:
    counterpart(OwnCNN(torch.sin), (3, 33, 32))
except ValueError as error:
    print(f"refused: ... {str(error)[-48:]}")

# %% Untrained, it is the CNN without its nonlinearities, logits included.
linear = OwnCNN(nn.Identity()).double().eval()
linear.load_state_dict(teacher.state_dict())
with torch.no_grad():
    difference = (student(pictures) - linear(pictures)).abs().max() / linear(pictures).abs().max()
print(f"largest difference from the CNN without its ReLUs, relative: {float(difference):.1e}")
