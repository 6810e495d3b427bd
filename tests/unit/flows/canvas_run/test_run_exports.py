"""What an export writes: names with every field, tables, plots, metadata and log; and that it is read back."""

from __future__ import annotations

import csv
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from labkeeper_flows.canvas import naming
from labkeeper_flows.canvas.techniques import AC_COLUMNS, DC_COLUMNS
from labkeeper_flows.canvas_run import optimiser, plots
from labkeeper_flows.canvas_run.experiment import DataError, shown
from labkeeper_flows.canvas_run.outcome import RunOutcome, RunStatus
from labkeeper_flows.canvas_run.tables import Segment, processed, table_of
from labkeeper_flows.canvas_run.values import Curve, curves_of, last_values
from labkeeper_flows.canvas_run.verifying import Written, verify
from tests.unit.flows.canvas.canvases import nested, node
from tests.unit.flows.canvas_run.lab import Lab, measured, run


def exported(tmp_path: Path, loop: dict[str, Any] | None = None, **params: Any) -> RunOutcome:
    """A run of CP and PEIS, in a loop where `loop` is given, and one export."""
    body = [
        node("setup", "sdl1ExperimentSetup", experiment_id="zinc", run_number=7),
        node("cp", "sdl1ElectrochemicalMeasurement", data_tag="plating", cycle_dependent_collection=True),
        node("peis", "sdl1ElectrochemicalMeasurement", measurement_type="PEIS", cycle_dependent_collection=True),
        node("export", "sdl1DataExport", **params),
    ]
    if loop is not None:
        body += [node("head", "sdl1SequenceControl", **loop), node("count", "sdl1CycleCounter")]
    return run(nested(*body), Lab(), tmp_path)


def names(outcome: RunOutcome) -> list[str]:
    """Names of the exported files."""
    return [path.name for path in outcome.files]


def test_every_field_of_a_template_is_filled_in(tmp_path: Path) -> None:
    template = "_".join(f"{{{name}}}" for name in naming.FIELDS)
    loop = {"loop_count": 4, "stabilization_cycles": 1, "data_collection_start": 2}
    outcome = exported(tmp_path, loop, file_naming_template="custom", custom_file_naming=template)
    stamp = names(outcome)[0].removeprefix("zinc_7_")[:15]
    assert names(outcome)[0] == f"zinc_7_{stamp}_2-4_2_4_4_dc.csv"
    assert stamp.startswith("20260304_05")
    assert "{" not in "".join(names(outcome))


@pytest.mark.parametrize(
    ("form", "shown"),
    [("{start}-{end}", "3-5"), ("{start}to{end}", "3to5"), ("{start}_{end}", "3_5"), ("{total}cycles", "5cycles")],
)
def test_cycle_ranges_in_each_form(form: str, shown: str, tmp_path: Path) -> None:
    outcome = exported(tmp_path, {}, file_naming="r{cycle_range}", cycle_range_format=form)
    assert names(outcome)[0] == f"r{shown}_dc.csv"


def test_csv_has_exactly_the_columns_and_all_kept_rows(tmp_path: Path) -> None:
    outcome = exported(tmp_path, {"loop_count": 3, "stabilization_cycles": 1, "data_collection_mode": "last_n_cycles"})
    dc, ac = (list(csv.reader(path.read_text().splitlines())) for path in outcome.files[:2])
    assert dc[0] == list(DC_COLUMNS)
    assert ac[0] == list(AC_COLUMNS)
    assert (len(dc) - 1, len(ac) - 1) == (2 * 8, 2 * 4)
    assert dc[1] == ["0.0", "-0.004", "-1.0"]


def test_json_says_which_rows_are_whose_and_that_they_are_simulated(tmp_path: Path) -> None:
    outcome = exported(tmp_path, export_format="json", dc_columns=["timestamp_s", "we_voltage_V"])
    table = json.loads(outcome.files[0].read_text())
    assert table["columns"] == ["timestamp_s", "we_voltage_V"]
    assert len(table["rows"]) == 8
    (part,) = table["parts"]
    assert (part["tag"], part["technique"], part["first_row"], part["rows"]) == ("plating", "CP", 1, 8)
    assert table["simulated"] is True
    assert table["time_factor"] == 1_000_000.0


def test_one_table_for_both_kinds_leaves_cells_empty(tmp_path: Path) -> None:
    outcome = exported(tmp_path, separate_ac_dc_files=False)
    rows = list(csv.reader(outcome.files[0].read_text().splitlines()))
    assert rows[0] == [*DC_COLUMNS, *AC_COLUMNS]
    assert rows[1][3:] == [""] * len(AC_COLUMNS)
    assert rows[-1][:3] == [""] * 3


def test_png_alone_and_a_readable_plot_of_each_curve(tmp_path: Path) -> None:
    outcome = exported(tmp_path, export_format="PNG", metadata_export=False, log_export=False)
    assert names(outcome) == ["zinc_plating_1_CP.png", "zinc_Electrochemical_Measurement_1_PEIS.png"]
    for path in outcome.files:
        raw = path.read_bytes()
        assert struct.unpack(">II", raw[16:24]) == (864, 576)
        assert b"simulated" in raw


def test_metadata_hold_the_experiment_the_nodes_and_their_times(tmp_path: Path) -> None:
    outcome = exported(tmp_path, {"loop_count": 3, "stabilization_cycles": 1, "data_collection_start": 2})
    data = json.loads(next(path for path in outcome.files if path.name.endswith("metadata.json")).read_text())
    assert data["experiment"]["experiment_id"] == "zinc"
    assert data["cycles"] == {"loop": "head", "total": 3, "kept": [2, 3]}
    assert data["simulated"] is True
    assert [it["cycle"] for it in data["not_kept"]] == [1, 1]
    assert {it["id"] for it in data["nodes"]} == {it.id for it in outcome.plan.nodes}
    assert [(it["node"], it["cycle"]) for it in data["times"] if it["node"] == "cp"] == [
        ("cp", 1),
        ("cp", 2),
        ("cp", 3),
    ]
    alone = exported(tmp_path / "b", include_parameters=False, include_timestamps=False)
    data = json.loads(next(path for path in alone.files if path.name.endswith("metadata.json")).read_text())
    assert not {"nodes", "times"} & data.keys()


def test_the_log_holds_the_reports_on_the_cycles(tmp_path: Path) -> None:
    outcome = exported(tmp_path, {"loop_count": 2, "stabilization_cycles": 0, "data_collection_start": 1})
    log = next(path for path in outcome.files if path.suffix == ".log").read_text()
    assert "cycle 1 of 2 [##########..........] 50 %" in log
    assert "cycle 2 of 2 [####################] 100 %" in log
    assert "to go" in log


def test_compressed_everything_is_in_one_file(tmp_path: Path) -> None:
    outcome = exported(tmp_path, compress_output=True)
    (path,) = outcome.files
    with zipfile.ZipFile(path) as pack:
        assert {Path(name).suffix for name in pack.namelist()} == {".csv", ".json", ".log", ".png"}
    assert sorted(it.name for it in path.parent.iterdir()) == [path.name, "zinc_run7_experiment.json"]


def test_what_another_run_exported_is_never_overwritten(tmp_path: Path) -> None:
    first = exported(tmp_path)
    body = first.plan
    before = first.files[0].read_text()
    second = run(
        nested(
            node("setup", "sdl1ExperimentSetup", experiment_id="zinc"),
            node("cp", "sdl1ElectrochemicalMeasurement"),
            node("export", "sdl1DataExport"),
        ),
        Lab(),
        tmp_path,
        run_id="r2",
        directory=tmp_path / "runs" / "r2",
    )
    assert second.files[0].name == "zinc_dc_2.csv"
    assert first.files[0].read_text() == before
    assert body.total == 4


def test_processed_data_are_what_was_worked_out(tmp_path: Path) -> None:
    outcome = exported(tmp_path, include_processed_data=True, include_raw_data=False)
    (path,) = (path for path in outcome.files if path.suffix == ".csv")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["technique"] for row in rows] == ["CP", "PEIS"]
    assert float(rows[0]["charge_C"]) == pytest.approx(-0.004 * 7)
    assert float(rows[1]["highest_frequency_Hz"]) == 1000


def test_a_canvas_without_export_keeps_what_it_measured_with_its_run(tmp_path: Path) -> None:
    outcome = run(nested(node("cp", "sdl1ElectrochemicalMeasurement", data_tag="plating")), Lab(), tmp_path)
    assert names(outcome) == ["plating_1_CP_dc.csv", "plating_1_CP.png"]
    assert outcome.files[0].parent == tmp_path / "runs" / "r1" / "measured"
    assert outcome.files[0].read_text().splitlines()[0] == ",".join(DC_COLUMNS)


def test_a_measurement_without_data_fails_its_node(tmp_path: Path) -> None:
    class Empty(Lab):
        def _result(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
            return {}

    outcome = run(nested(node("cp", "sdl1ElectrochemicalMeasurement")), Empty(), tmp_path)
    assert outcome.status is RunStatus.FAILED
    assert "returned no data" in outcome.message


def test_what_ended_early_is_told(tmp_path: Path) -> None:
    class Limited(Lab):
        def _result(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
            found = super()._result(operation, parameters)
            if operation == "wait_until_idle":
                found["elements"][0] |= {"ended_early": True, "reason": "voltage below -2 V"}
            return found

    outcome = run(nested(node("cp", "sdl1ElectrochemicalMeasurement")), Limited(), tmp_path)
    assert outcome.runs[0].result["ended_early"] == ["element 1 (CP) ended early: voltage below -2 V"]
    assert any("ended early: voltage below -2 V" in line for line in outcome.log)


def test_an_export_that_cannot_be_written_fails_its_node(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "data").write_text("a file where a folder should be")
    outcome = run(
        nested(node("cp", "sdl1ElectrochemicalMeasurement"), node("export", "sdl1DataExport")), Lab(), tmp_path
    )
    assert outcome.status is RunStatus.FAILED
    assert "cannot be written" in outcome.message


def test_files_that_are_not_as_written_are_told(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("x,y\n1,2\n")
    verify([Written(str(table), 8, "csv", columns=["x", "y"], rows=1)])
    short = Written(str(table), 8, "csv", columns=["x", "y"], rows=2)
    other = Written(str(table), 8, "csv", columns=["x", "z"], rows=1)
    gone = Written(str(tmp_path / "b.png"), 8, "png")
    with pytest.raises(DataError) as wrong:
        verify([short, other, gone])
    assert "it has 1 rows, not 2" in str(wrong.value)
    assert "its columns are ['x', 'y'], not ['x', 'z']" in str(wrong.value)
    assert "No such file" in str(wrong.value)


def test_a_run_number_that_is_taken_is_counted_up(tmp_path: Path) -> None:
    canvas = nested(node("setup", "sdl1ExperimentSetup", experiment_id="zinc", auto_increment_run=True))
    found = []
    for number in (1, 2, 3):
        outcome = run(canvas, Lab(), tmp_path, run_id=f"r{number}", directory=tmp_path / "runs" / str(number))
        found.append(outcome.runs[0].result["experiment_metadata"]["run_number"])
    assert found == [1, 2, 3]


def test_files_that_the_canvas_needs_must_be_there(tmp_path: Path) -> None:
    canvas = nested(node("setup", "sdl1ExperimentSetup", csv_file_path="series.csv", check_csv_file_exists=True))
    outcome = run(canvas, Lab(simulated=False, time_factor=None), tmp_path)
    assert "csv_file_path series.csv: there is no such file below" in outcome.message


@pytest.mark.parametrize(
    ("how", "value"),
    [("last_value", 2.0), ("first_value", 3.0), ("max_value", 3.0), ("min_value", 1.0), ("mean_value", 2.0)],
)
def test_the_objective_is_taken_as_asked(how: str, value: float) -> None:
    assert optimiser.extract([3.0, 1.0, 2.0], how) == value


def test_the_objective_goes_to_the_proposed_candidate(tmp_path: Path) -> None:
    candidates, proposals = tmp_path / "candidates.csv", tmp_path / "proposals.csv"
    candidates.write_text("A,B,objective\n1,0,\n0,1,0.5\n")
    proposals.write_text("A,B\n0.0,1.0\n")
    done = optimiser.update(candidates, proposals, 1, -1.25)
    assert candidates.read_text() == "A,B,objective\n1,0,\n0,1,-1.25\n"
    assert (done["row"], done["column"], done["previous"]) == (1, "objective", "0.5")
    proposals.write_text("actions,A,B\n9,0,1\n")
    with pytest.raises(DataError, match="there are 2 candidates"):
        optimiser.update(candidates, proposals, 1, 1.0)
    proposals.write_text("A,B\n1,1\n")
    with pytest.raises(DataError, match="does not have"):
        optimiser.update(candidates, proposals, 1, 1.0)
    proposals.write_text("")
    with pytest.raises(DataError, match="is empty"):
        optimiser.update(candidates, proposals, 1, 1.0)


def test_measurements_are_understood_in_each_form() -> None:
    rows = [{"timestamp_s": 0.0, "current_A": 1.0, "we_voltage_V": 2.0}]
    columns = {"timestamp_s": [0.0], "current_A": [1.0], "we_voltage_V": [2.0]}
    for table in (rows, columns, {"columns": list(DC_COLUMNS), "rows": [[0.0, 1.0, 2.0]]}, [[0.0, 1.0, 2.0]]):
        (curve,) = curves_of({"dc": table, "ac": []}, ["OCV"])
        assert (curve.columns, curve.rows, curve.technique) == (DC_COLUMNS, ((0.0, 1.0, 2.0),), "OCV")
        assert last_values("wait_until_idle", {"dc": table}) == {"voltage": 2.0, "current": 1.0}
    assert last_values("get_status", {"celsius": 31.5}) == {"temperature": 31.5}
    assert curves_of({"done": True}) == []


def test_a_table_and_a_row_of_processed_data_with_gaps() -> None:
    curve = Curve("OCV", 1, "dc", ("timestamp_s", "we_voltage_V"), ((0.0, 0.1), (1.0, None)))
    segment = Segment("n", "N", "t", None, kept=True, curve=curve)
    assert table_of([segment], ["dc"], ["we_voltage_V", "current_A"]).rows == ((0.1, None), (None, None))
    assert processed([segment]).rows[0][5] == 2
    assert plots.plot(segment, "gaps", simulated=False).startswith(b"\x89PNG")


@pytest.mark.parametrize("technique", ["OCV", "CP", "CVA", "LSV", "PEIS"])
def test_each_technique_has_a_plot_and_the_same_data_give_the_same_file(technique: str) -> None:
    (curve,) = curves_of({"elements": [measured(technique)]})
    segment = Segment("n", "Measurement {x} $y", "t", 2, kept=True, curve=curve)
    once, twice = (plots.plot(segment, "title_with $ and _", simulated=True) for _ in range(2))
    assert once == twice


def test_durations_as_a_person_reads_them() -> None:
    assert [shown(3725.4, form) for form in ("hms", "minutes", "seconds")] == ["1:02:05", "62.1 min", "3725.4 s"]
