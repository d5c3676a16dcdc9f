# %% [markdown]
# How long one inference takes: the paper's case, and a bench of your own with a measured back end.

# %%
from optics4f.transduction import measure, median_record, optical_network_budget, paper_2022

print(paper_2022())

# %% 64 channels of 224 x 224 pixels at full resolution fill the link; 13 x 13 pixels behind a stop do not.
for pixels in ((224, 224), (13, 13)):
    budget = optical_network_budget(
        focal_lengths=("100 mm", "100 mm"),
        channels=64,
        pixels=pixels,
        bits=8,
        link="paper_usb3",
        back_end="0.28 ms",
    )
    print(budget, "| slowest:", budget.bottleneck.name)

# %% Any callable can be timed and put in place of a stage of the same name.
record = median_record(measure(lambda: sum(range(1000))), "back end", device="this machine")
print(budget.replace([record]))
