"""An emulated Alpaca telescope for the tests of its driver."""

from alpaca_bench import bench as bench
from alpaca_bench import make as make
