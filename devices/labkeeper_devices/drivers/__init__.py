"""Drivers, one package per device. A driver speaks to hardware; the agent decides when it may."""
