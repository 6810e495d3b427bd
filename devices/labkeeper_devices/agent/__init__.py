"""The agent: the one process that owns a unit of hardware, claims its runs from Prefect and carries them out.

`agent` is the loop, `carrier` takes one operation through guard, journal and driver, `journal` remembers `records`,
`prefect_link` speaks to Prefect, `listening` hears of runs, `control` listens on the host, `stopper` is the emergency
stop, `emergency` finds runs that ask for it. `recovery`, `guard` and `unit` only decide.
"""
