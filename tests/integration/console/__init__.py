"""The console's parts on real agents and simulators."""
