"""What a plot shows a person."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from labkeeper_flows.canvas_run import plots
from labkeeper_flows.canvas_run.values import Curve


def test_the_noise_of_a_current_that_is_held_is_not_the_picture() -> None:
    rows = tuple((float(at), -0.004 + 1e-7 * (-1) ** at, -0.81 - at / 1e5) for at in range(100))
    axes = Figure().add_subplot()
    plots._over_time(axes, Curve("CP", 1, "dc", ("timestamp_s", "current_A", "we_voltage_V"), rows))
    (current,) = [one for one in axes.figure.axes if one.get_ylabel() == "Current i / mA"]
    low, high = current.get_ylim()
    assert high - low > 20 * 2e-4
    scale = current.yaxis.get_major_formatter()
    assert isinstance(scale, ScalarFormatter)
    assert scale.get_useOffset() is False
