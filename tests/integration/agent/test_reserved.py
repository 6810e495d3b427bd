"""A unit that a run on the host holds, with Prefect: nothing is claimed meanwhile, and what waits is done then."""

from __future__ import annotations

import pytest

from labkeeper_api.errors import LabkeeperError
from labkeeper_api.unit_calls import Perform
from labkeeper_devices.agent.unit_client import UnitClient
from tests.integration.agent.bench import begin_move, is_waiting, no_motion
from tests.support.hotel import Hotel


def test_a_held_unit_claims_nothing_until_it_is_let_go(hotel: Hotel) -> None:
    client = UnitClient(hotel.unit)
    client.reserve("run-1", "canvas Zinc")
    with hotel.control() as servo:
        count = len(servo.motions())
        waiting = hotel.submit("go_home")
        no_motion(servo, count, 2.0)
        assert is_waiting(hotel, waiting)
        told = hotel.labkeeper("device", "status").stdout
        assert "state: Busy" in told
        assert "reservation: canvas Zinc (run run-1), ends " in told

        call = Perform(holder="run-1", run="run-1", operation="plate-resort.move_to_angle", parameters={"angle": 60})
        done = client.perform(call)
        assert done.outcome == "succeeded"
        assert len(servo.motions()) == count + 1
        assert is_waiting(hotel, waiting)
        client.unreserve("run-1")
        assert hotel.prefect.wait(waiting)["state_name"] == "Completed"
    assert client.perform(call).replayed


def test_a_unit_that_carries_out_a_run_is_not_to_be_had(slow_hotel: Hotel) -> None:
    client = UnitClient(slow_hotel.unit)
    with slow_hotel.control() as servo:
        run_id = begin_move(slow_hotel, servo)
        with pytest.raises(LabkeeperError, match="cannot be reserved: it carries out run "):
            client.reserve("run-1", "canvas Zinc")
        with pytest.raises(LabkeeperError, match="driver plate-resort cannot pause what it does"):
            client.pause(client.status()["run_id"])
        assert slow_hotel.prefect.wait(run_id)["state_name"] == "Completed"
    client.reserve("run-1", "canvas Zinc")
    client.unreserve("run-1")


def test_without_prefect_there_is_no_pool(hotel: Hotel) -> None:
    manifest = str(hotel.directory / "device.yaml")
    refused = hotel.labkeeper("agent", "run", manifest, "--no-prefect", "--pool", "hotel", check=False)
    assert refused.returncode == 1
    assert "with --no-prefect there are none: give only one" in refused.stderr
