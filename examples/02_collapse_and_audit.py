# %% [markdown]
# Five layers of masks are one layer of masks; and a ReLU in a "linear" front end is found.

# %%
import torch
from torch import nn

from optics4f.models.sclc import SCLC, StudentDesign

pictures = torch.rand(6, 3, 32, 32)
design = StudentDesign(readout="strict", channels=(3, 4, 12, 24, 16, 16))
student = SCLC(design).eval()
print(student.audit(pictures))

# %% The same student with a single bank of masks gives the same logits.
collapsed = student.collapse()
with torch.no_grad():
    print(f"logits differ by {float((student(pictures) - collapsed(pictures)).abs().max()):.1e}")
print(collapsed.optics)


# %% What the paper's published code does: a ReLU on the real part between two layers.
class HiddenReLU(nn.Module):
    def forward(self, field: torch.Tensor) -> torch.Tensor:
        return torch.relu(field.real).to(field.dtype)


first, *others = student.optics.stages
print(student.with_optics(nn.Sequential(first, HiddenReLU(), *others)).audit(pictures))
