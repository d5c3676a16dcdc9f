"""One module per optical part: each a few parameters and one call of a function."""

from .combiner import CoherentSum as CoherentSum
from .combiner import FanOut as FanOut
from .detector import HomodyneReadout as HomodyneReadout
from .detector import IntensityDetector as IntensityDetector
from .lens import FourierLens as FourierLens
from .masks import AmplitudeMask as AmplitudeMask
from .masks import ComplexMask as ComplexMask
from .masks import KernelMask as KernelMask
from .masks import MaskBank as MaskBank
from .masks import PhaseMask as PhaseMask
from .prism import Prism as Prism
from .sources import AmplitudeEncoding as AmplitudeEncoding
from .stops import LowPassStop as LowPassStop
from .window import GuardBand as GuardBand
from .window import Window as Window
