"""The HTTP surface: the robot's endpoints, and under ``/simulator`` what no robot has."""
