"""The canvas engine's pure core: the text of a canvas -> problems, or a plan of device steps that is fully worked out.

The doors are `plan.plan_text` and `plan.plan`; `accounting.Accounting` keeps track of a run. Carrying steps out is not
in here: no device, no Prefect, no HTTP, no clock.
"""
