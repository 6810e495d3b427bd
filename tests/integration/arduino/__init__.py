"""Pumps, ultrasonic bath and heater on a simulated board in a process of its own."""
