"""DataExport and the names of files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from labkeeper_flows.canvas import naming
from tests.unit.flows.canvas.canvases import (
    CONTROL,
    COUNTER,
    EXPORT,
    MEASURE,
    SETUP,
    nested,
    node,
    planned,
    steps_of,
    told,
)

KIND = "sdl1DataExport"
VALUES = {
    "experiment_id": "Zn",
    "run_number": 3,
    "timestamp": "20260301_120000",
    "cycle_range": "2-3",
    "cycle_start": 2,
    "cycle_end": 3,
    "total_cycles": 3,
    "data_type": "dc",
}


def export(**params: Any) -> dict[str, Any]:
    """The parameters of the export step."""
    return dict(steps_of(KIND, **params)[0].parameters)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{experiment_id}_{data_type}", "Zn_dc"),
        ("{experiment_id}_cycles{cycle_range}_{data_type}", "Zn_cycles2-3_dc"),
        ("{experiment_id}_c{cycle_start}-{cycle_end}of{total_cycles}_{data_type}", "Zn_c2-3of3_dc"),
        ("Zn_{timestamp}_{run_number}", "Zn_20260301_120000_3_dc"),
    ],
)
def test_every_field_of_a_template_is_filled(template: str, name: str) -> None:
    assert list(naming.template_problems(template)) == []
    assert naming.file_stem(template, VALUES) == name


def test_what_a_file_system_refuses_stays_out_of_a_name() -> None:
    assert naming.file_stem("{experiment_id}_{data_type}", {"experiment_id": "../a:b", "data_type": "dc"}) == "_a_b_dc"


@pytest.mark.parametrize("template", ["", "{experiment}", "{experiment_id", "a/{data_type}", "{a{b}}", "..{data_type}"])
def test_templates_that_cannot_be_are_told(template: str) -> None:
    assert list(naming.template_problems(template))


@pytest.mark.parametrize(("form", "name"), [*zip(naming.RANGE_FORMATS, ["2-5", "2to5", "2_5", "9cycles"], strict=True)])
def test_cycle_ranges(form: str, name: str) -> None:
    assert naming.cycle_range(form, 2, 5, 9) == name


def test_timestamps_tell_months_from_minutes() -> None:
    moment = datetime(2026, 3, 4, 15, 6, 7, tzinfo=UTC)
    assert naming.timestamp("YYYYMMDD_HHMMSS", moment) == "20260304_150607"
    assert naming.timestamp("DD.MM.YY HH-MM", moment) == "04.03.26 15-06"


def test_the_files_of_an_export() -> None:
    found = export(dc_file_name="electrochemical_dc", ac_file_name="impedance")
    assert [it["data_type"] for it in found["files"]] == ["electrochemical_dc", "impedance_ac", "metadata", "log"]
    assert found["files"][0]["columns"] == ["timestamp_s", "current_A", "we_voltage_V"]
    assert (found["format"], found["template"]) == ("CSV", "{experiment_id}_{data_type}")
    assert [
        it["data"] for it in export(separate_ac_dc_files=False, include_metadata=False, log_export=False)["files"]
    ] == [["dc", "ac"]]


def test_the_template_is_the_one_the_canvas_means() -> None:
    custom = {"file_naming_template": "custom", "custom_file_naming": "x_{data_type}", "file_naming": "y"}
    assert export(**custom)["template"] == "x_{data_type}"
    assert export(filename_pattern="z_{run_number}", **custom)["template"] == "z_{run_number}"
    assert export(include_timestamp_in_filename=True)["template"] == "{experiment_id}_{timestamp}_{data_type}"


def test_the_cycles_of_a_loop_are_exported() -> None:
    plan = planned(nested(SETUP, MEASURE, EXPORT, CONTROL, COUNTER))
    assert plan.by_id["export"].steps()[0].parameters["cycles"] == {"loop": "control", "total": 3, "kept": [2, 3]}
    assert plan.by_id["export"].steps()[0].parameters["experiment_id"] == "Zn"
    assert export()["cycles"] == {"loop": None, "total": 1, "kept": [1]}


def test_the_optimiser_is_told_where_asked() -> None:
    steps = steps_of(KIND, nimo_update_enabled=True, objective_value_column="current_A")
    assert [step.operation for step in steps] == ["export", "verify_export", "update_objective"]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"export_format": "XLSX"}, "one of 'CSV', 'JSON' or 'PNG'"),
        ({"export_format": 5}, "no choice"),
        ({"file_naming": "{cycle}"}, "is no field of a file name"),
        ({"file_naming_template": "custom"}, "custom_file_naming: the template is empty"),
        ({"cycle_range_format": "{a}"}, "no choice"),
        ({"dc_columns": ["voltage"]}, "'voltage' is no column"),
        ({"nimo_update_enabled": True}, "no column that is exported"),
        ({"objective_extraction": "best"}, "no choice"),
        (
            dict.fromkeys(("dc_data_export", "ac_data_export", "metadata_export", "log_export"), False),
            "nothing is chosen",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused(params: dict[str, Any], said: str) -> None:
    assert said in told(nested(node("n", KIND, **params)))


def test_small_letters_are_the_same_format() -> None:
    assert export(export_format="json")["format"] == "JSON"
