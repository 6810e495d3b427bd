"""How instruments of our own making speak, known to both ends: driver and simulator. No ports, no sockets here."""
