"""How a duration varies from one inference to the next: constant, uniform, measured, shifted log-normal.

All are frozen, take quantities or strings with a unit, keep seconds, and are drawn with numpy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from ..units import Quantity, positive_si, si

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Constant:
    """A duration that never varies.

    Args:
        value: The duration [s], above 0, as a quantity or string.

    Raises:
        TypeError: If it has no unit of time.
        ValueError: If it is not above 0.
    """

    kind: ClassVar[str] = "constant"
    value: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", positive_si(self.value, "s", "Constant value"))

    @property
    def mean(self) -> float:
        """Mean [s]."""
        return float(self.value)

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """So many durations [s], shape (count,), float64."""
        import numpy

        return numpy.full(count, self.value)

    def to_dict(self) -> dict[str, Any]:
        """Kind, numbers and their unit, ready for JSON."""
        return {"kind": self.kind, "value": self.value, "unit": "s"}


@dataclass(frozen=True)
class Uniform:
    """A duration that is anywhere between two limits: what one waits for a clock that knows nothing of one.

    Args:
        low: Lower limit [s], 0 or more, as a quantity or string.
        high: Upper limit [s], above ``low``.

    Raises:
        TypeError: If a limit has no unit of time.
        ValueError: If ``low`` is below 0 or ``high`` is not above ``low``.
    """

    kind: ClassVar[str] = "uniform"
    low: Any
    high: Any

    def __post_init__(self) -> None:
        low, high = si(self.low, "s", "Uniform low"), si(self.high, "s", "Uniform high")
        if not 0 <= low < high:
            raise ValueError(f"Uniform: expected 0 <= low < high, got {low} s and {high} s.")
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    @property
    def mean(self) -> float:
        """Mean [s]."""
        return float(self.low + self.high) / 2

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """So many durations [s], shape (count,), float64."""
        return rng.uniform(self.low, self.high, count)

    def to_dict(self) -> dict[str, Any]:
        """Kind, numbers and their unit, ready for JSON."""
        return {"kind": self.kind, "low": self.low, "high": self.high, "unit": "s"}


@dataclass(frozen=True)
class ShiftedLogNormal:
    r"""A fixed part and a random one with a long tail, :math:`t = t_0 + s\,e^{\sigma z}`, z normal.

    The usual shape of a driver or a GPU: never faster than :math:`t_0`, seldom much slower. The logarithm has
    mean :math:`\mu = \ln(s / 1\,\mathrm{s})`; the median is :math:`t_0 + s`, the mean
    :math:`t_0 + s\,e^{\sigma^2/2}`.

    Args:
        shift: :math:`t_0` [s], 0 or more, as a quantity or string.
        scale: :math:`s` [s], above 0: given with a unit, because a bare mu would not say of which unit.
        sigma: Standard deviation of the logarithm, a pure number above 0.

    Raises:
        TypeError: If a time has no unit of time or ``sigma`` is no number.
        ValueError: If a number is out of range.
    """

    kind: ClassVar[str] = "shifted_log_normal"
    shift: Any
    scale: Any
    sigma: float

    def __post_init__(self) -> None:
        shift = si(self.shift, "s", "ShiftedLogNormal shift")
        scale = positive_si(self.scale, "s", "ShiftedLogNormal scale")
        if isinstance(self.sigma, bool) or not isinstance(self.sigma, (int, float)):
            raise TypeError(f"ShiftedLogNormal sigma: expected a pure number, got {self.sigma!r}.")
        if shift < 0:
            raise ValueError(f"ShiftedLogNormal shift: expected 0 s or more, got {shift} s.")
        if not 0 < self.sigma < 10:  # e^10: four decades to either side of the median
            raise ValueError(f"ShiftedLogNormal sigma: expected 0 < sigma < 10, got {self.sigma}.")
        object.__setattr__(self, "shift", shift)
        object.__setattr__(self, "scale", scale)

    @property
    def mu(self) -> float:
        """Mean of the logarithm of the random part in seconds."""
        return math.log(self.scale)

    @property
    def mean(self) -> float:
        """Mean [s]."""
        return float(self.shift + self.scale * math.exp(self.sigma**2 / 2))

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """So many durations [s], shape (count,), float64."""
        return rng.lognormal(self.mu, self.sigma, count) + float(self.shift)

    def to_dict(self) -> dict[str, Any]:
        """Kind, numbers and their unit, ready for JSON."""
        numbers = {"shift": self.shift, "scale": self.scale, "sigma": self.sigma}
        return {"kind": self.kind, **numbers, "unit": "s"}

    @classmethod
    def fit(cls, samples: Sequence[Any]) -> ShiftedLogNormal:
        r"""From measured durations, by their quantiles at 5, 50 and 95 % (a, m, b).

        They are symmetric in the logarithm of :math:`t - t_0`, so that
        :math:`t_0 = (ab - m^2)/(a + b - 2m)` and :math:`\sigma = \ln\frac{b - t_0}{m - t_0} / 1.645`. Robust
        against a few wild samples; less efficient than maximum likelihood, which has no maximum when the
        shift is free.

        Args:
            samples: At least 20 durations [s], as quantities or strings.

        Raises:
            ValueError: If there are fewer, or they have no tail to the right, as measured by those quantiles.
        """
        import numpy

        values = _seconds(samples, "ShiftedLogNormal.fit")
        if len(values) < 20:
            raise ValueError(f"ShiftedLogNormal.fit: expected at least 20 samples, got {len(values)}.")
        a, m, b = (float(x) for x in numpy.quantile(values, (0.05, 0.5, 0.95)))
        if not b - m > m - a > 0:
            raise ValueError(
                f"ShiftedLogNormal.fit: expected a tail to the right, got quantiles {a, m, b} s."
            )
        shift = max(0.0, (a * b - m * m) / (a + b - 2 * m))
        sigma = math.log((b - shift) / (m - shift)) / 1.6448536269514722
        return cls(Quantity(shift, "s"), Quantity(m - shift, "s"), sigma)


@dataclass(frozen=True)
class Samples:
    """Measured durations; one is drawn with replacement.

    Args:
        values: Durations [s], 0 or more and not all 0, as quantities or strings.
        run: Name of the measurement. Stages of the same name are drawn together, sample by sample, so that
            what was slow together stays slow together; all must have as many samples. Empty: drawn alone.

    Raises:
        TypeError: If a duration has no unit of time.
        ValueError: If there is none, one is negative, or all are 0.
    """

    kind: ClassVar[str] = "samples"
    values: Sequence[Any]
    run: str = ""

    def __post_init__(self) -> None:
        values = tuple(_seconds(self.values, "Samples"))
        if not values or min(values) < 0 or max(values) == 0:
            raise ValueError(
                f"Samples: expected durations of 0 s or more, not all 0, got {len(values)} such."
            )
        object.__setattr__(self, "values", values)

    @property
    def mean(self) -> float:
        """Mean [s]."""
        return math.fsum(self.values) / len(self.values)

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """So many durations [s], shape (count,), float64."""
        return self.at(rng.integers(len(self.values), size=count))

    def at(self, index: NDArray[np.integer[Any]]) -> Array:
        """The samples of these numbers [s]."""
        import numpy

        values: Array = numpy.asarray(self.values, dtype=numpy.float64)[index]
        return values

    def to_dict(self) -> dict[str, Any]:
        """Kind, numbers and their unit, ready for JSON."""
        return {"kind": self.kind, "values": list(self.values), "run": self.run, "unit": "s"}


@dataclass(frozen=True)
class Repeated:
    """A duration that comes several times in one inference, each time drawn anew.

    Args:
        base: How long it takes each time.
        times: How often, a whole number above 0.

    Raises:
        ValueError: If ``times`` is none, or ``base`` is a repetition itself or samples of a shared run.
    """

    kind: ClassVar[str] = "repeated"
    base: Constant | Uniform | ShiftedLogNormal | Samples
    times: int

    def __post_init__(self) -> None:
        if type(self.times) is not int or self.times < 1:
            raise ValueError(f"Repeated times: expected a whole number above 0, got {self.times!r}.")
        if isinstance(self.base, Repeated) or (isinstance(self.base, Samples) and self.base.run):
            raise ValueError(
                f"Repeated: expected durations that are drawn on their own, got {self.base.kind}."
            )

    @property
    def mean(self) -> float:
        """Mean of all of them together [s]."""
        return self.times * self.base.mean

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """So many sums [s], shape (count,), float64."""
        if isinstance(self.base, Constant):
            return self.times * self.base.draw(rng, count)
        total = self.base.draw(rng, count)
        for _ in range(self.times - 1):
            total = total + self.base.draw(rng, count)
        return total

    def to_dict(self) -> dict[str, Any]:
        """Kind, what is repeated, and how often, ready for JSON."""
        return {"kind": self.kind, "base": self.base.to_dict(), "times": self.times, "unit": "s"}


Distribution: TypeAlias = Constant | Uniform | ShiftedLogNormal | Samples | Repeated
KINDS_OF = {cls.kind: cls for cls in (Constant, Uniform, ShiftedLogNormal, Samples)}
_PURE = ("sigma", "run")  # what has no unit


def distribution(content: Any) -> Distribution:
    """A distribution as it is: an object, a time with a unit, or a table such as a configuration holds.

    Tables: ``{uniform = ["0 ms", "1 ms"]}``, ``{samples = ["1.1 ms", ...], run = "..."}`` and
    ``{shift = "50 us", scale = "20 us", sigma = 0.5}``.

    Raises:
        TypeError: If a time is a bare number or has the wrong unit.
        ValueError: If the table is none of these, or a number is out of range.

    Example:
        >>> distribution({"uniform": ["0 ms", "2 ms"]}).mean
        0.001
    """
    if isinstance(content, (Constant, Uniform, ShiftedLogNormal, Samples, Repeated)):
        return content
    if not isinstance(content, Mapping):
        return Constant(content)
    keys = set(content)
    if keys == {"uniform"} and _is_list(content["uniform"]) and len(content["uniform"]) == 2:
        return Uniform(*content["uniform"])
    if keys in ({"samples"}, {"samples", "run"}) and _is_list(content["samples"]):
        return Samples(content["samples"], content.get("run", ""))
    if keys == {"shift", "scale", "sigma"}:
        return ShiftedLogNormal(**content)
    raise ValueError(
        "duration: expected a time with its unit, {uniform = [low, high]}, {samples = [...]} or "
        f"{{shift, scale, sigma}}, got the keys {', '.join(sorted(map(str, keys))) or 'of an empty table'}."
    )


def distribution_from_dict(content: Mapping[str, Any]) -> Distribution:
    """What ``to_dict`` wrote.

    Raises:
        TypeError: If a number is none.
        ValueError: If the kind, a key or the unit is another.
    """
    if content.get("kind") == Repeated.kind and set(content) == {"kind", "base", "times", "unit"}:
        return Repeated(distribution_from_dict(content["base"]), content["times"])  # type: ignore[arg-type]
    cls = KINDS_OF.get(content.get("kind", ""))
    if cls is None or content.get("unit") != "s":
        raise ValueError(
            f"distribution: expected a kind among {', '.join(KINDS_OF)} in s, "
            f"got {content.get('kind')!r} in {content.get('unit')!r}."
        )
    rest = {key: value for key, value in content.items() if key not in ("kind", "unit")}
    known = set(cls.__dataclass_fields__) - {"kind"}
    if set(rest) != known:
        raise ValueError(
            f"distribution: expected the keys {', '.join(sorted(known))}, got {', '.join(sorted(rest))}."
        )
    with_unit = {key: value if key in _PURE else _in_seconds(value) for key, value in rest.items()}
    made: Distribution = cls(**with_unit)
    return made


def _in_seconds(value: Any) -> Any:
    return [Quantity(x, "s") for x in value] if _is_list(value) else Quantity(value, "s")


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _seconds(values: Sequence[Any], name: str) -> list[float]:
    return [si(value, "s", f"{name} {number}") for number, value in enumerate(values, start=1)]
