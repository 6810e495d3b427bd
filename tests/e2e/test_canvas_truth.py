"""Canvases end to end: what they ask for is what happened in the lab, and both managers sent devices the very same.

Expectations are worked out here from the canvas's own text, not by the planner. What is true stands in the simulators:
the OT-2's wells, tips and positions, the mL that pumps moved, the experiments that the potentiostat started. The
simulated robot knows nothing of the pumps that empty its cells, so a cell holds at most what fits and the rest has run
over: with 5 times 5 mL that is what the battery canvas asks for.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread

from labkeeper_flows.canvas.labware import by_load_name
from labkeeper_flows.canvas.labware_definitions import definition_of
from tests.e2e.conftest import ROOT, SHARED
from tests.support.battery import DEVICES, VIAL, BatteryLab, as_heard

CANVASES = SHARED / "data" / "canvas"
BATTERY = CANVASES / "battery_test_workflow-1753364156528.json"
ZINC = CANVASES / "battery_ZincDeposition_Complete_Workflow.json"
CATALYST = CANVASES / "catalyst_electrochemical_workflow.json"
OWN = ROOT / "examples" / "battery" / "canvas.json"
DC = ["timestamp_s", "current_A", "we_voltage_V"]
AC = ["timestamp", "frequency", "absoluteImpedance", "realImpedance", "imagImpedance", "phaseAngle", "numberOfCycles"]
FACTOR = 1000.0
SLOT_10 = (0.0, 271.5)
"""Corner of slot 10 in mm: slots of an OT-2 are 132.5 mm apart to the right and 90.5 mm to the back."""

Move = tuple[str, str, str, float | None]
"""What the robot does: command, labware, well, and depth (z of the offset in mm) or volume (µL) where that counts."""


@dataclass
class Wanted:
    """What a canvas asks for."""

    moves: list[Move] = field(default_factory=list)
    drawn: float = 0.0
    """µL from A1 of slot 2 into `cell` of slot 9."""
    cell: str = "A1"
    tips: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    """Electrodes and tools of slot 10 that were used; all are in their places again."""
    pumped_ml: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    ultrasound_ms: float = 0.0
    techniques: list[list[str]] = field(default_factory=list)
    """Of each experiment, in order."""
    last: tuple[str, float, float] | None = None
    """Well of slot 10 over which the robot stands in the end, and how far off its middle (mm); None: at home."""

    def fill(self, rack: str, tip: str, source: str, target: str, parts: list[float]) -> None:
        """A fresh tip, the volume in parts, and the tip into the trash."""
        self.moves += [("moveToWell", rack, tip, 0.0), ("pickUpTip", rack, tip, None)]
        for part in parts:
            self.moves += [("aspirate", source, "A1", part), ("dispense", target, self.cell, part)]
        self.moves += [("moveToAddressableAreaForDropTip", "", "", None), ("dropTipInPlace", "", "", None)]
        self.tips.append(tip)
        self.drawn += sum(parts)

    def take(self, rack: str, well: str) -> None:
        """Pick up an electrode or tool."""
        self.moves += [("moveToWell", rack, well, 3.0), ("pickUpTip", rack, well, None)]

    def put_back(self, rack: str, well: str) -> None:
        """Put it back in its place."""
        self.moves += [("moveToWell", rack, well, 3.0), ("dropTip", rack, well, 6.0)]
        self.returned.append(well)

    def go(self, labware: str, *depths: float) -> None:
        """Move over the cell and into it."""
        self.moves += [("moveToWell", labware, self.cell, depth) for depth in depths]

    def pump(self, number: int, volume_ml: float) -> None:
        """Move mL."""
        self.pumped_ml[number] += volume_ml


def parts_of(volume: float) -> list[float]:
    """A volume in as few parts as a pipette of 1000 µL takes, all alike: no part is a rest too small to be exact."""
    count = math.ceil(volume / 1000.0)
    return [volume / count] * count


def nodes_of(path: Path) -> dict[str, dict[str, Any]]:
    """Type -> parameters, for canvases with one node of each type."""
    data = json.loads(path.read_text())
    nodes = data["workflow"].get("nodes") or data["nodes"]
    return {(n.get("type") or n["data"]["nodeType"]): n.get("params") or n["data"]["parameters"] for n in nodes}


def row_major(number: int) -> str:
    """Tip number -> well: A1 to A12, then B1 (facts 1.6)."""
    return f"{'ABCDEFGH'[(number - 1) // 12]}{(number - 1) % 12 + 1}"


def wanted_by_the_eight_nodes(path: Path) -> Wanted:
    """The eight-node shape: the body stands between the setup and the export and is done `loop_count` times."""
    nodes = nodes_of(path)
    setup, loop = nodes["sdl1ExperimentSetup"], nodes["sdl1SequenceControl"]
    solution, electrode = nodes["sdl1SolutionPreparation"], nodes["sdl1ElectrodeSetup"]
    measurement, wash = nodes["sdl1ElectrochemicalMeasurement"], nodes["sdl1WashCleaning"]
    wanted = Wanted(cell=solution["target_well"])
    tool, place = wash.get("cleaning_tool_position", "B1"), electrode.get("electrode_position", "A2")
    for cycle in range(loop["loop_count"]):
        tip = row_major(setup["pipette_tip_start_id"] + cycle)
        wanted.fill("tip_rack_1", tip, "vial_rack_2", "nis_reactor", parts_of(solution["volume"]))
        wanted.take("electrode_rack", place)
        wanted.go("nis_reactor", 5.0, -electrode.get("insertion_depth", 26))
        wanted.techniques.append([measurement["measurement_type"]])
        wanted.put_back("electrode_rack", place)
        wanted.take("electrode_rack", tool)
        wanted.go("nis_reactor", 5.0, -wash.get("insertion_depth", 57))
        for _ in range(wash.get("cleaning_cycles", 2)):
            wanted.pump(2, wash.get("pump2_volume", 4))
            wanted.pump(1, wash.get("pump1_volume", 10))
            wanted.ultrasound_ms += wash.get("ultrasonic_time", 5000)
            wanted.pump(2, wash.get("final_wash_volume", 10))
        wanted.put_back("electrode_rack", tool)
    wanted.last = (tool, 0.6, 0.5)
    return wanted


def wanted_by_zinc(path: Path) -> Wanted:
    """Nine nodes once each: sample, pick up, insert, measure, remove, wash, return, export."""
    data = json.loads(path.read_text())
    by_type: dict[str, dict[str, Any]] = {}
    for node in data.get("nodes") or data["workflow"]["nodes"]:
        by_type.setdefault(node.get("data", node).get("nodeType") or node["type"], node["data"]["parameters"])
    setup, sample = by_type["sdl1ExperimentSetup"], by_type["sdl1SamplePreparation"]
    measured, wash = by_type["sdl1ElectrochemicalMeasurement"], by_type["sdl1HardwareWashing"]
    assert not any(value for name, value in sample.items() if name in {f"additive_{letter}" for letter in "ABCDEFG"})
    wanted = Wanted(cell=sample["target_cell"])
    tip = row_major(setup["pipette_tip_start_id"])
    wanted.fill("tip_rack_1", tip, "vial_rack_2", "nis_reactor", parts_of(sample["total_volume"]))
    wanted.take("electrode_rack", "A2")
    wanted.go("nis_reactor", 5.0, -26.0, 5.0)
    sequence = ["CP", "OCV", "PEIS", "CP", "OCV", "PEIS"]
    wanted.techniques.append(sequence * measured.get("sequence_cycles", 1))
    wanted.put_back("electrode_rack", "A2")
    wanted.take("electrode_rack", "B1")
    wanted.go("nis_reactor", 5.0, -57.0, 5.0)
    wanted.pump(2, wash["initial_drain_volume"])
    wanted.pump(1, wash["rinse_volume"])
    wanted.pump(2, wash["final_rinse_volume"])
    wanted.ultrasound_ms += wash["ultrasonic_duration"]
    wanted.put_back("electrode_rack", "B1")
    wanted.last = ("B1", 0.6, 0.5)
    return wanted


def wanted_by_catalyst(path: Path) -> Wanted:
    """Five measurements with one electrode, then it is washed and put back, and the robot goes home."""
    nodes = json.loads(path.read_text())["nodes"]
    wanted = Wanted(cell="B2", techniques=[[node["type"]] for node in nodes])
    wanted.take("electrode_tip_rack", "A1")
    wanted.go("reactor_plate", -20.0)
    wash = nodes[-1]["params"]["ot2_actions"][1]["arduino_actions"]
    wanted.pump(0, wash["pump0_ml"])
    wanted.pump(2, wash["pump2_ml"])
    wanted.ultrasound_ms += wash["ultrasonic0_ms"]
    wanted.moves += [("moveToWell", "wash_station", "A1", 0.0), ("moveToWell", "electrode_tip_rack", "A1", 0.0)]
    wanted.put_back("electrode_tip_rack", "A1")
    wanted.moves.append(("home", "", "", None))
    return wanted


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BatteryLab]:
    """One lab for all canvases, set up anew before each."""
    with BatteryLab(tmp_path_factory.mktemp("truth") / "lab", time_factor=FACTOR) as found:
        yield found


@dataclass
class Seen:
    """What one run left behind."""

    result: dict[str, Any]
    heard: dict[str, bytes]
    journals: dict[str, list[Any]]
    robot: list[dict[str, Any]]
    deck: dict[str, Any]
    pumped_ml: list[float]
    ultrasound_ms: float
    uploaded: list[list[str]]
    files: list[Path]


def carried_out(lab: BatteryLab, canvas: Path, manager: str) -> Seen:
    """Run a canvas in a lab that was set up anew. Exit code 0 and nothing but JSON on standard output are required."""
    lab.fresh()
    (lab.work / "combinations_7C1_to_7C4.csv").write_text("A,B,objective\n1,0,\n0,1,\n")
    (lab.work / "proposal_example.csv").write_text("actions,A,B\n1,0,1\n")
    before, journals = lab.logs(), {name: len(lab.journal(name)) for name in DEVICES}
    with lab.board() as board:
        pumps = board.state()
    runs = set(lab.home.glob("runs/*"))
    done = lab.labkeeper("run", canvas, "--lab", lab.manifest, "--manager", manager, "--output", "json")
    assert done.returncode == 0, f"{done.stderr[-3000:]}\n{done.stdout[-3000:]}"
    after = {name: log[len(before[name]) :] for name, log in lab.logs().items()}
    with lab.board() as board:
        now = board.state()
    (run,) = set(lab.home.glob("runs/*")) - runs
    return Seen(
        result=json.loads(done.stdout),
        heard={name: as_heard(log) for name, log in after.items()},
        journals={name: lab.journal(name)[count:] for name, count in journals.items()},
        robot=after["ot2"],
        deck=lab.deck(),
        pumped_ml=[b - a for a, b in zip(pumps["pumped_ml"], now["pumped_ml"], strict=True)],
        ultrasound_ms=now["ultrasound_ms"][0] - pumps["ultrasound_ms"][0],
        uploaded=[
            [element["technique"] for element in entry["elements"]]
            for entry in after["potentiostat"]
            if entry["do"] == "upload"
        ],
        files=[*lab.work.rglob("*.csv"), *lab.work.rglob("*.png"), *run.rglob("*.csv"), *run.rglob("*.png")],
    )


def moves_of(log: list[dict[str, Any]]) -> list[Move]:
    """What the robot did, with labware by the name that it was loaded under, in the order in which it was loaded."""
    names: dict[str, str] = {}
    loaded = {(e["params"]["location"]["slotName"]): e["params"]["displayName"] for e in log if _loads(e)}
    found: list[Move] = []
    for entry in log:
        if entry["intent"] == "setup":
            continue
        params = entry["params"]
        assert entry["status"] == "succeeded", entry
        labware = names.get(params.get("labwareId", ""), params.get("labwareId", ""))
        counts = params.get("volume")
        if entry["commandType"] in ("moveToWell", "dropTip"):
            counts = params["wellLocation"]["offset"]["z"]
        found.append((entry["commandType"], labware, params.get("wellName", ""), counts))
    assert loaded
    return found


def _loads(entry: dict[str, Any]) -> bool:
    return bool(entry["commandType"] == "loadLabware")


def check_robot(seen: Seen, wanted: Wanted) -> None:
    """Moves in their order, volumes, tips, tools and the last position."""
    asked = [(kind, well, counts) for kind, _, well, counts in wanted.moves]
    assert [(kind, well, counts) for kind, _, well, counts in moves_of(seen.robot)] == asked
    # Ids of labware are the robot's: each stands for one name, and each name for one id.
    pairs = {(a[1], b[1]) for a, b in zip(moves_of(seen.robot), wanted.moves, strict=True)}
    assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})
    deck = seen.deck["deck"]
    if wanted.drawn:
        source, cell = deck["2"]["wells"]["A1"]["volume"], deck["9"]["wells"][wanted.cell]["volume"]
        over = sum(note["volume"] for note in seen.deck["anomalies"] if note["kind"] == "overflow")
        assert source == pytest.approx(VIAL - wanted.drawn)
        assert cell + over == pytest.approx(wanted.drawn)
        assert deck["1"]["tips"]["taken"] == sorted(wanted.tips)
    assert seen.deck["airAspirated"] == 0
    assert {note["kind"] for note in seen.deck["anomalies"]} <= {"overflow"}
    assert deck["10"]["tips"] == {
        "taken": [],
        "returned": sorted(set(wanted.returned)),
        "fresh": 4 - len(set(wanted.returned)),
    }
    assert seen.deck["pipettes"]["right"]["tip"] is None
    assert seen.deck["pipettes"]["right"]["volume"] == 0
    if wanted.last is not None:
        well, right, back = wanted.last
        labware = by_load_name("nistall_4_tiprack_1ul")
        assert labware is not None
        definition = definition_of(labware)
        assert definition is not None
        middle = definition["wells"][well]
        at = seen.deck["gantry"]["position"]
        assert at["x"] == pytest.approx(SLOT_10[0] + middle["x"] + right, abs=0.01)
        assert at["y"] == pytest.approx(SLOT_10[1] + middle["y"] + back, abs=0.01)


def check_instruments(seen: Seen, wanted: Wanted) -> None:
    """mL, ultrasound and the experiments."""
    assert seen.pumped_ml == pytest.approx(wanted.pumped_ml, abs=1e-6)
    assert seen.ultrasound_ms == pytest.approx(wanted.ultrasound_ms, abs=1e-3)
    assert seen.uploaded == wanted.techniques


def check_files(seen: Seen, *, kinds: set[str]) -> None:
    """Tables with exactly the columns of facts 1.2 and numbers in every cell; plots that are pictures."""
    tables = [path for path in seen.files if path.suffix == ".csv" and path.stat().st_size and _measured(path)]
    rows = {"dc": 0, "ac": 0}
    for path in tables:
        with path.open(newline="") as opened:
            header, *body = list(csv.reader(opened))
        assert header in (DC, AC), path
        for row in body:
            assert len([float(cell) for cell in row]) == len(header)
        rows["dc" if header == DC else "ac"] += len(body)
    assert {kind for kind, count in rows.items() if count} == kinds
    plots = [path for path in seen.files if path.suffix == ".png"]
    assert plots
    for path in plots:
        picture = imread(path)
        assert picture.shape[0] >= 400
        assert picture.shape[1] >= 600
        assert 0.3 < (picture[..., :3].min(axis=2) > 0.95).mean() < 0.99, f"{path} is empty, or full"


def _measured(path: Path) -> bool:
    """Whether a table holds what was measured: not the optimiser's files, and not what was worked out from it."""
    return not path.name.endswith(("combinations_7C1_to_7C4.csv", "proposal_example.csv", "_processed.csv"))


def check_alike(native: Seen, prefect: Seen) -> None:
    """Byte for byte what devices heard, and what their journals hold."""
    assert native.heard == prefect.heard
    assert native.journals == prefect.journals
    assert all(native.journals.values())
    for name in ("total_nodes", "executed_nodes", "successful_nodes"):
        assert native.result[name] == prefect.result[name]
    assert native.deck["gantry"]["position"] == prefect.deck["gantry"]["position"]


def both(lab: BatteryLab, canvas: Path, wanted: Wanted, *, nodes: int, kinds: set[str]) -> tuple[Seen, Seen]:
    """Run with both managers and check all that holds for every canvas."""
    seen = {}
    for manager, status in (("native", "completed"), ("prefect", "success")):
        one = seen[manager] = carried_out(lab, canvas, manager)
        assert one.result["status"] == status
        assert one.result["total_nodes"] == one.result["successful_nodes"] == nodes
        assert one.result["failed_nodes"] == []
        check_robot(one, wanted)
        check_instruments(one, wanted)
        check_files(one, kinds=kinds)
    native, prefect = seen["native"], seen["prefect"]
    check_alike(native, prefect)
    return native, prefect


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_the_eight_node_battery_canvas(lab: BatteryLab) -> None:
    native, _ = both(lab, BATTERY, wanted_by_the_eight_nodes(BATTERY), nodes=8, kinds={"dc"})
    (table,) = lab.work.rglob("*_dc.csv")
    # Cycles 3 to 5 are collected, 720 s with a point each second.
    assert "cycles3-5" in table.name
    with table.open(newline="") as opened:
        body = list(csv.reader(opened))[1:]
    assert len(body) == 3 * 720
    assert all(float(row[1]) == pytest.approx(-0.004, abs=1e-5) for row in body)
    assert len([path for path in native.files if path.suffix == ".png"]) == 3


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_the_zinc_canvas_does_nine_nodes_once_each_in_their_order(lab: BatteryLab) -> None:
    native, _ = both(lab, ZINC, wanted_by_zinc(ZINC), nodes=9, kinds={"dc", "ac"})
    order = [it["node_id"] for it in native.result["results"]]
    data = json.loads(ZINC.read_text())
    edges = data.get("edges") or data["workflow"]["edges"]
    assert len(order) == len(set(order)) == 9
    assert all(order.index(edge["source"]) < order.index(edge["target"]) for edge in edges)
    # The last value of the asked column went to the row that was proposed, and to no other.
    first, second = (lab.work / "combinations_7C1_to_7C4.csv").read_text().splitlines()[1:]
    assert first == "1,0,"
    assert float(second.split(",")[2]) > 0


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_the_catalyst_canvas(lab: BatteryLab) -> None:
    both(lab, CATALYST, wanted_by_catalyst(CATALYST), nodes=5, kinds={"dc", "ac"})
    with lab.board() as board:
        assert board.state()["setpoints"] == [25.0]


def test_our_own_battery_canvas(lab: BatteryLab) -> None:
    own = json.loads(OWN.read_text())["workflow"]["nodes"]
    both(lab, OWN, wanted_by_the_eight_nodes(OWN), nodes=len(own), kinds={"dc"})
