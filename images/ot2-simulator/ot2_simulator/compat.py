"""Where robot software of different ages differs, and which age this robot has. Imports Opentrons.

From 8.3.0 on the robot refuses to pick up tips from a rack with fewer places than 12 by 8
(``compute_tips_to_mark_as_used_or_empty`` and its forerunners count only on that grid); until 8.2.0 it took what stood
at the well. Laboratories that handle electrodes and tools as tips, from a rack of four, run on the older software. This
simulator is as they are unless told otherwise.
"""

from __future__ import annotations

from opentrons.hardware_control.nozzle_manager import NozzleMap
from opentrons.protocol_engine.state.tips import TipView

_strictly = TipView.compute_tips_to_mark_as_used_or_empty


def accept_small_tip_racks(accept: bool) -> None:
    """Let one nozzle take a tip from a rack of any size, as robot software did until 8.2.0; or refuse it, as since
    8.3.0.

    For this process, analyses included.
    """

    def compute(self: TipView, labware_id: str, well_name: str, nozzle_map: NozzleMap) -> list[str]:
        columns = self._state.columns_by_labware_id.get(labware_id, [])
        known = any(well_name in column for column in columns)
        small = known and (len(columns) < 12 or len(columns[0]) < 8)
        if small and nozzle_map.tip_count == 1:
            return [well_name]
        return _strictly(self, labware_id, well_name, nozzle_map)

    TipView.compute_tips_to_mark_as_used_or_empty = compute if accept else _strictly  # type: ignore[method-assign]
