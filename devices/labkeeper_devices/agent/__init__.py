"""The agent: the one process that owns a unit of hardware and carries out what runs ask of it.

`agent` joins the parts, `workplace` is the unit as they share it. `prefect_side` claims runs from Prefect; `calls`
serves runs on this host, which ask by `unit_client` over the socket of `control`; `desk` serves people. `carrier` takes
one operation through guard, journal and driver; `errands` is what is asked and how it ended; `journal` remembers
`records`, and `register` which journal is the unit's. `prefect_link` speaks to Prefect, `listening` hears of runs,
`stopper` is the emergency stop, `emergency` finds runs that ask for it. `recovery`, `guard`, `reservation` and `unit`
only decide.
"""
