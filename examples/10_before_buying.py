# %% [markdown]
# Before buying: which of two cameras for a layer of 3 -> 16 channels? What fits, how long it must be exposed,
# how long an inference then takes, and what it costs in energy.

# %%
import torch

from optics4f import (
    AmplitudeEncoding,
    FourF,
    Grid,
    IntensityDetector,
    MaskBank,
    Quantity,
    mm,
    nm,
    sensor_preset,
    um,
)
from optics4f.detection import photon_number
from optics4f.transduction import LatencyBudget, Stage, time_of_flight, transfer_time
from optics4f.transduction.energy import compare, plan_energy
from optics4f.transduction.photons import photon_budget
from optics4f.transduction.plan import Hardware, Need, plans

torch.manual_seed(0)
pictures, kernels = torch.rand(8, 3, 64, 64), torch.randn(16, 3, 5, 5)
layer = Need(inputs=3, outputs=16, picture=(64, 64), kernel=(5, 5), signed=False)

# %% Every way to build the layer, on a modulator of 1080 x 1920 pixels and the smaller of two sensors.
small = Hardware(display=(1080, 1920), mask=(1080, 1920), sensor=(1472, 2184), bits=16)
for plan in plans(layer, small):
    print(plan)

# %% The cameras: sensor, pixels, bits, and the rate at which numbers leave it, which you look up.
cameras = {
    "kaf_3200me": (sensor_preset("kaf_3200me"), small, "12.8 Mbit/s"),
    "imx250": (
        sensor_preset("imx250", allow_unverified=True),
        Hardware(small.display, small.mask, (2048, 2448), bits=12),
        "920 Mbit/s",
    ),
}

# %% One plate with 48 kernels, at best as bright as trees; the second lens fits samples to pixels.
latency, errors = {}, []
for name, (sensor, hardware, rate) in cameras.items():
    plan = next(plan for plan in plans(layer, hardware) if plan.realisation == "channel tiling")
    bench = FourF(
        Grid((64, 64), 10 * um),
        532 * nm,
        100 * mm,
        MaskBank.from_kernels(kernels),
        second_focal_length=Quantity(100 * sensor.pixel_pitch / 10e-6, "mm"),
        combiner="beam_splitter",
    )
    light = photon_budget(bench, sensor, "1 uW", "1 ms", pictures)
    exposure = light.exposure_for_snr(20)
    light = photon_budget(bench, sensor, "1 uW", Quantity(exposure, "s"), pictures)
    print(f"\n{name}\n{light}")
    stages = (
        Stage("flight", "optics", Quantity(time_of_flight(Quantity(bench.path_length, "m")), "s")),
        Stage("exposure", "exposure", Quantity(plan.exposures * exposure, "s")),
        Stage("link", "transduction", Quantity(transfer_time(f"{plan.total_bytes} byte", rate), "s")),
        Stage("back end", "back_end", "0.28 ms"),
    )
    latency[name] = LatencyBudget(name, stages)
    print(latency[name])
    energy = plan_energy(
        plan,
        laser_power="10 uW",
        exposure_time=Quantity(exposure, "s"),
        display_energy="1 mJ",
        pixel_energy="1 nJ",
        bit_energy="10 pJ",
        macs=160_000,
        idle_power="3 W",
        duration=latency[name].total,
    )
    print(energy)
    print(compare(energy, 16 * 3 * 25 * 64 * 64 + 160_000))
    with torch.no_grad():  # what the simulated pixels see
        field = bench(AmplitudeEncoding(bench.grid, Quantity(1e-6 / 3, "W"))(pictures))
        seen = photon_number(
            IntensityDetector(bench.output_grid, (64, 64))(field), exposure, bench.wavelength
        )
    errors.append(abs(float(seen.mean()) / light.mean_photons - 1))

# %%
best = min(latency, key=lambda name: latency[name].total_s)
print(f"\n{best} is faster, {latency[best].total.to('ms'):.2f~P}; both at an SNR of {light.mean_snr:.2f}")
print(f"photons of the budget and on the simulated pixels differ by {max(errors):.0e}, relative")
