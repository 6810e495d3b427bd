"""What several drivers share. Not for any one device, nor for what the agent asks of drivers: that is `drivers.base`.

Modules: `document` (settings of one YAML document), `loading` (a configuration from several), `latch` (the emergency
stop), `trouble` (sentences about serial ports), `pyserial` (its types), `mailbox` (answers by command id),
`results` (what is said of simulations), `factory` (LabDevices).
"""
