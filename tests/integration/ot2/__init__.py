"""The OT-2 driver against the real simulator: Opentrons' own engine in a process of its own."""
