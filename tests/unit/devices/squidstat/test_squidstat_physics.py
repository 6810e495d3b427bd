"""Whether the simulated cell does what electrochemistry says: charges, times, peaks, circuits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkeeper_devices.simulators.squidstat.cell import COUNTER, DOUBLE_LAYER, REST, SOLUTION, Cell, root
from labkeeper_devices.simulators.squidstat.diffusion import Diffusion
from labkeeper_devices.simulators.squidstat.measuring import (
    AMPERE_NOISE,
    Ac,
    Dc,
    Reading,
    duration,
    frequencies,
    potential,
    readings,
)
from labkeeper_devices.simulators.squidstat.reactions import F_RT, FARADAY, Couple, Zinc

CP = {"technique": "CP", "current_a": -0.004, "duration_s": 300.0, "sample_interval_s": 1.0}
PEIS = {
    "technique": "PEIS",
    "start_hz": 1e5,
    "end_hz": 0.1,
    "points_per_decade": 20,
    "minimum_cycles": 1,
    "amplitude_v": 0.01,
    "bias_vs_ocp": True,
}


class NoNoise(Random):
    """Gives the middle of every distribution."""

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        return mu


def dc(element: dict[str, Any], cell: Cell) -> Iterator[Dc]:
    for reading in readings(element, cell, NoNoise()):
        assert isinstance(reading, Dc)
        yield reading


def ac(element: dict[str, Any], cell: Cell) -> list[Ac]:
    found = list(readings(element, cell, NoNoise()))
    return [reading for reading in found if isinstance(reading, Ac)]


def deposited(amperes: float = -0.004, seconds: float = 300.0) -> Cell:
    """A cell with zinc on its electrode, at rest."""
    cell = Cell()
    list(dc({**CP, "current_a": amperes, "duration_s": seconds}, cell))
    list(dc({"technique": "OCV", "duration_s": 300.0, "sample_interval_s": 5.0}, cell))
    return cell


# Diffusion.


def test_a_constant_flux_follows_the_square_root_of_time() -> None:
    # c(0, t) = c* + 2·J·sqrt(t / (pi·D)) for a deep solution (Bard & Faulkner, 2nd ed., eq. 8.2.8).
    layer = Diffusion(bulk=1e-6, coefficient=7e-6)
    flux, dt = 1e-10, 0.05
    for _ in range(400):
        layer.prepare(dt)
        layer.commit(flux)
    assert layer.surface - 1e-6 == pytest.approx(2 * flux * math.sqrt(20 / (math.pi * 7e-6)), rel=0.02)


def test_in_the_end_the_profile_is_a_straight_line() -> None:
    layer = Diffusion(bulk=1e-6, coefficient=7e-6, thickness=0.02)
    for _ in range(2000):
        layer.prepare(1.0)
        layer.commit(1e-11)
    assert layer.surface - 1e-6 == pytest.approx(1e-11 * 0.02 / 7e-6, rel=1e-3)


@given(st.floats(1e-4, 50.0), st.floats(-1e-10, 1e-10))
def test_a_step_is_linear_in_its_flux(dt: float, flux: float) -> None:
    layer = Diffusion(bulk=1e-6)
    p, q = layer.prepare(dt)
    layer.commit(flux)
    assert layer.surface == pytest.approx(p + q * flux, abs=1e-18)


# Constant current.


def test_what_is_deposited_is_the_charge() -> None:
    cell = Cell()
    points = list(dc(CP, cell))
    charge = sum(point.amperes for point in points) * 0.25
    assert charge == pytest.approx(-1.2)
    assert cell.charge == pytest.approx(charge)
    # The double layer and the leak take a little; the rest is zinc.
    assert cell.zinc.deposited == pytest.approx(1.2, rel=0.02)
    assert cell.zinc.deposited < 1.2


def test_dissolving_gives_back_what_was_deposited() -> None:
    cell = deposited()
    there = cell.zinc.deposited
    charge = 0.0
    for point in dc({**CP, "current_a": 0.004, "duration_s": 7200.0}, cell):
        if point.volts > -0.5:
            break
        charge += point.amperes * 0.25
    assert charge == pytest.approx(there, rel=0.02)
    assert cell.zinc.deposited < 0.01 * there


def test_deposition_lies_below_the_equilibrium_by_drop_and_overpotential() -> None:
    cell = Cell()
    early = next(point for point in dc(CP, cell) if point.at >= 2)
    # Butler-Volmer with alpha 0.5: overpotential = 2RT/nF · asinh(i / 2·i0) (Bard & Faulkner, 2nd ed., eq. 3.4.11).
    over = math.asinh(0.004 / (2 * Zinc.EXCHANGE)) / F_RT
    assert early.volts == pytest.approx(cell.zinc.equilibrium - over - 0.004 * SOLUTION, abs=0.002)


@pytest.mark.parametrize("amperes", [0.04, 0.05, 0.08])
def test_the_ions_run_out_at_sands_time(amperes: float) -> None:
    # tau = (n·F·A·c·sqrt(pi·D) / 2i)^2 (Bard & Faulkner, 2nd ed., eq. 8.2.14).
    tau = (2 * FARADAY * Zinc.BULK * math.sqrt(math.pi * 7e-6) / (2 * amperes)) ** 2
    element = {**CP, "current_a": -amperes, "duration_s": 2 * tau, "sample_interval_s": 0.05}
    ends = next(point.at for point in dc(element, Cell()) if point.volts < -2.0)
    assert ends == pytest.approx(tau, rel=0.03)


def test_more_resistance_where_the_counter_electrode_is_the_reference() -> None:
    own, without = Cell(), Cell()
    without.use_reference(own=False)
    assert own.drive(-0.004, 1.0) - without.drive(-0.004, 1.0) == pytest.approx(0.004 * COUNTER)


# Open circuit.


def test_it_relaxes_towards_the_equilibrium_of_zinc() -> None:
    cell = Cell()
    list(dc({**CP, "current_a": -0.01}, cell))
    points = list(dc({"technique": "OCV", "duration_s": 600.0, "sample_interval_s": 1.0}, cell))
    volts = [point.volts for point in points]
    assert volts[0] < volts[-1]
    assert volts[-1] == pytest.approx(cell.zinc.equilibrium, abs=0.002)
    assert abs(volts[-1] - volts[-100]) < abs(volts[100] - volts[0])


def test_a_bare_electrode_stays_near_its_rest_potential() -> None:
    *_, last = dc({"technique": "OCV", "duration_s": 60.0, "sample_interval_s": 1.0}, Cell())
    assert last.volts == pytest.approx(REST, abs=0.05)
    assert last.volts > Zinc.STANDARD + 0.5


# Sweeps.


def test_where_a_sweep_is() -> None:
    cva = {"technique": "CVA", "start_v": 0.2, "end_v": -0.3, "scan_rate_v_s": 0.1, "cycles": 2}
    assert duration(cva) == pytest.approx(20.0)
    assert [potential(cva, at) for at in (0.0, 2.5, 5.0, 7.5, 15.0, 20.0)] == pytest.approx(
        [0.2, -0.05, -0.3, -0.05, -0.3, 0.2]
    )
    lsv = {**cva, "technique": "LSV"}
    assert duration(lsv) == pytest.approx(5.0)
    assert potential(lsv, 5.0) == pytest.approx(-0.3)


def sweep(rate: float) -> list[Dc]:
    """The last of two cycles over the couple."""
    element = {
        "technique": "CVA",
        "start_v": -0.3,
        "end_v": 0.5,
        "scan_rate_v_s": rate,
        "cycles": 2,
        "sample_interval_s": 0.002 / rate,
    }
    points = list(dc(element, Cell()))
    return points[len(points) // 2 :]


def peaks(rate: float) -> tuple[Dc, Dc]:
    points = sweep(rate)
    return max(points, key=lambda point: point.amperes), min(points, key=lambda point: point.amperes)


@pytest.mark.parametrize("rate", [0.02, 0.05])
def test_the_peaks_of_the_couple(rate: float) -> None:
    forward, backward = peaks(rate)
    # Randles-Sevcik at 25 degrees (Bard & Faulkner, 2nd ed., eq. 6.2.19): a fully reversible couple.
    reversible = 2.69e5 * math.sqrt(7e-6) * Couple.TOTAL * math.sqrt(rate)
    assert forward.amperes == pytest.approx(reversible, rel=0.15)
    # Between the 57 mV of a reversible couple and what k0 = 0.02 cm/s widens it to.
    assert 0.055 < forward.volts - backward.volts < 0.12
    assert (forward.volts + backward.volts) / 2 == pytest.approx(Couple.STANDARD, abs=0.02)
    assert 0.6 < -backward.amperes / forward.amperes < 1.1


def test_the_peak_grows_with_the_root_of_the_scan_rate() -> None:
    slow, fast = peaks(0.02)[0].amperes, peaks(0.08)[0].amperes
    assert fast / slow == pytest.approx(2.0, rel=0.08)


def test_zinc_is_deposited_and_stripped_in_a_sweep() -> None:
    element = {
        "technique": "CVA",
        "start_v": -0.4,
        "end_v": -0.95,
        "scan_rate_v_s": 0.05,
        "cycles": 1,
        "sample_interval_s": 0.04,
    }
    cell = Cell()
    points = list(dc(element, cell))
    most = max(points, key=lambda point: point.amperes)
    assert min(point.amperes for point in points) < -0.01
    assert most.amperes > 0.01
    assert most.at > 11.0, "it is stripped on the way back"
    given_ = -sum(point.amperes for point in points if point.amperes < 0) * 0.04
    taken = sum(point.amperes for point in points if point.amperes > 0) * 0.04
    assert taken == pytest.approx(given_, rel=0.05)
    assert cell.zinc.deposited == pytest.approx(0.0, abs=1e-4)


def test_a_bare_sweep_outside_of_everything_charges_the_double_layer() -> None:
    element = {
        "technique": "LSV",
        "start_v": -0.6,
        "end_v": -0.5,
        "scan_rate_v_s": 1.0,
        "sample_interval_s": 0.01,
    }
    points = list(dc(element, Cell()))
    leak = (points[-1].volts - REST) / 20_000.0
    assert points[-1].amperes - leak == pytest.approx(DOUBLE_LAYER * 1.0, rel=0.1)


# Impedance.


def test_the_frequencies() -> None:
    points = frequencies({**PEIS, "points_per_decade": 5, "minimum_cycles": 2})
    assert len(points) == 31
    assert [points[0][0], points[-1][0]] == pytest.approx([1e5, 0.1])
    assert points[5][0] == pytest.approx(1e4)
    assert all(cycles >= 2 and cycles / hertz >= 0.2 for hertz, cycles in points)
    assert [cycles for _, cycles in points][-1] == 2
    assert len(frequencies({**PEIS, "end_hz": 1e5})) == 1
    assert frequencies({**PEIS, "start_hz": 0.1, "end_hz": 10.0})[-1][0] == pytest.approx(10.0)


def test_the_semicircle() -> None:
    points = ac(PEIS, deposited())
    assert points[0].ohm.real == pytest.approx(SOLUTION, rel=0.01), "nothing but the solution at high frequencies"
    # Charge transfer resistance RT/nFi0, and the top at 1/(2·pi·R·C) (Bard & Faulkner, 2nd ed., section 10.3 and 10.4).
    transfer = 1 / (2 * F_RT * Zinc.EXCHANGE)
    assert points[-1].ohm.real > SOLUTION
    middle = min((point for point in points if 1 < point.hertz < 50), key=lambda point: -point.ohm.imag)
    assert middle.ohm.real == pytest.approx(SOLUTION + transfer, rel=0.1)
    top = min(points, key=lambda point: point.ohm.imag)
    assert top.hertz == pytest.approx(1 / (2 * math.pi * transfer * DOUBLE_LAYER), rel=0.12)
    assert -top.ohm.imag == pytest.approx(transfer / 2, rel=0.1)


def test_signs_and_phase() -> None:
    for point in ac(PEIS, deposited()):
        at, hertz, absolute, real, imaginary, degrees, cycles = point.columns()
        assert imaginary < 0, "a cell of this kind is capacitive at every frequency"
        assert absolute == pytest.approx(math.hypot(real, imaginary))
        assert degrees == pytest.approx(math.degrees(math.atan2(imaginary, real)))
        assert -90 < degrees < 0
        assert (at > 0, hertz, cycles) == (True, point.hertz, float(point.cycles))


def test_a_bare_electrode_blocks() -> None:
    """Away from both reactions nothing but the leak conducts, and the double layer shows at low frequencies."""
    cell = Cell()
    towards = {"technique": "LSV", "start_v": -0.35, "end_v": -0.4, "scan_rate_v_s": 0.01, "sample_interval_s": 1.0}
    list(dc(towards, cell))
    point = ac({**PEIS, "bias_vs_ocp": False, "dc_bias_v": -0.4, "start_hz": 1.0, "end_hz": 1.0}, cell)[0]
    assert -point.ohm.imag == pytest.approx(1 / (2 * math.pi * DOUBLE_LAYER), rel=0.15)


def test_the_warburg_impedance_has_equal_parts() -> None:
    """At low frequencies the couple's own impedance rises with slope one (Bard & Faulkner, 2nd ed., eq. 10.3.12)."""
    couple = Couple()
    couple.oxidised.surface = Couple.TOTAL / 2
    low, lower = (couple.impedance(Couple.STANDARD, 2 * math.pi * hertz) for hertz in (0.1, 0.01))
    assert low is not None
    assert lower is not None
    change = lower - low
    assert change.real == pytest.approx(-change.imag, rel=1e-6)
    sigma = 2 / (FARADAY * F_RT * math.sqrt(2 * 7e-6)) * 2 / Couple.TOTAL
    assert -low.imag == pytest.approx(sigma / math.sqrt(2 * math.pi * 0.1), rel=1e-3)


# All of them.

ELEMENTS = st.one_of(
    st.builds(
        lambda amperes, seconds: {**CP, "current_a": amperes, "duration_s": seconds},
        st.floats(-0.1, 0.1),
        st.floats(1, 30),
    ),
    st.builds(
        lambda start, end, rate: {
            "technique": "LSV",
            "start_v": start,
            "end_v": end,
            "scan_rate_v_s": rate,
            "sample_interval_s": 0.1,
        },
        st.floats(-2, 0),
        st.floats(0.1, 2),
        st.floats(0.2, 1.0),
    ),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(ELEMENTS, min_size=1, max_size=3))
def test_nothing_breaks_it_and_nothing_is_made_of_nothing(elements: list[dict[str, Any]]) -> None:
    cell = Cell()
    for element in elements:
        for reading in dc(element, cell):
            assert math.isfinite(reading.volts)
            assert math.isfinite(reading.amperes)
            assert cell.zinc.deposited >= 0
            assert all(value >= -1e-9 for value in cell.zinc.ions.concentrations)


def test_points_come_at_the_interval_and_at_the_end() -> None:
    element = {"technique": "OCV", "duration_s": 10.5, "sample_interval_s": 2.0, "settle_s": 3.0}
    kept = [point.at for point in dc(element, Cell()) if point.kept]
    assert kept == pytest.approx([5.0, 7.0, 9.0, 11.0, 13.0, 13.5])


def test_the_noise_is_small_and_repeatable() -> None:
    def points(seed: int) -> list[Reading]:
        return list(readings(CP, Cell(), Random(seed)))  # noqa: S311

    first, again, other = points(1), points(1), points(2)
    assert first == again != other
    assert all(isinstance(point, Dc) and abs(point.amperes + 0.004) < 6 * AMPERE_NOISE for point in first)


@given(st.floats(-50, 50), st.floats(0.01, 100))
def test_the_root_is_found_from_afar(at: float, steepness: float) -> None:
    assert root(lambda volts: math.tanh(steepness * (volts - at)) + (volts - at) / 10, 0.0) == pytest.approx(
        at, abs=1e-6
    )
