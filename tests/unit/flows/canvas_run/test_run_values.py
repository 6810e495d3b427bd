"""What a measurement returned, as the potentiostat's driver returns it."""

from __future__ import annotations

from labkeeper_flows.canvas_run.values import curves_of, last_values


def test_columns_of_an_element_are_its_curve() -> None:
    columns = {"timestamp_s": [0.0, 1.0], "current_A": [-0.004, -0.004], "we_voltage_V": [-0.9, -1.0]}
    result = {"elements": [{"technique": "CP", "dc": columns}], "simulated": True}
    assert curves_of(result)[0].rows == ((0.0, -0.004, -0.9), (1.0, -0.004, -1.0))
    assert last_values("wait_until_idle", result) == {"voltage": -1.0, "current": -0.004}


def test_names_of_columns_are_no_data() -> None:
    said = {"channel": 0, "dc": ["timestamp_s", "current_A", "we_voltage_V"], "ac": ["timestamp"]}
    assert curves_of(said) == []
    assert last_values("register_callbacks", said) == {}
