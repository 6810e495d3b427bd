"""What every simulator that is a process of its own shares. Not for any one instrument.

Modules: `paths` (names of its files), `port` (pty), `client` (asking it over its control socket), `launch` (starting,
finding, ending it), `control` (answering one request), `host` (its folder, its sockets and its loop).
"""
