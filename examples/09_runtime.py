# %% [markdown]
# Before a camera is bought: how long one inference takes on this bench, how it varies, and what to change.

# %%
from optics4f.transduction import Case, Samples, ShiftedLogNormal, next_best_change, preset, sweep
from optics4f.units import mm, us

for name in ("paper-2022", "paper-2022-complete"):
    print(
        f"{name}: p50 {1e3 * preset(name).p(50):.2f} ms, leaves out {preset(name).missing or 'nothing known'}"
    )

# %% The bench as it stands. The camera runs free, so the host waits up to a frame for it.
bench = Case(
    {
        "name": "bench",
        "display": {"device": "dmd_dlp7000_8bit"},
        "trigger": {"free_running": "100 Hz"},
        "optics": {"focal_lengths": [100 * mm, 100 * mm]},
        "sensor": {"device": "imx250_12bit", "exposure": 100 * us, "region": [224, 224]},
        "link": {"device": "usb3_vision"},
        "host": {
            "driver": ShiftedLogNormal(60 * us, 40 * us, 0.6),
            "to_device": Samples(["19 us", "20 us", "35 us"]),
        },
        "back_end": {"duration": "0.28 ms"},
    }
)
budget = bench.budget()
for percent in (50, 90, 99):
    value, low, high = budget.drawn.percentile(percent)
    print(f"p{percent}: {1e3 * value:.3f} ms, 95 % interval {1e3 * low:.3f} to {1e3 * high:.3f} ms")
print(f"one after the other {budget.rate(buffers=1):.0f}/s, pipelined {budget.rate(buffers=2):.0f}/s")

# %% What to change first, and what comes after it.
print("next:", next_best_change(bench))
triggered = Case({**bench.content, "trigger": {"device": "flir"}})
print("then:", next_best_change(triggered))

# %% Runtime against the size of the picture; any callable can stand beside it, such as a timed network.
found = sweep(triggered, "input=64..1024", {"grows with N^2": lambda side: 1e-7 * side**2})
for text, *times in zip(found.texts, *found.curves.values(), strict=True):
    print(text, " ".join(f"{1e3 * time:9.3f} ms" for time in times))
