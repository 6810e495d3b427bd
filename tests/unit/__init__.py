"""Unit tests: decisions and other pure parts, one folder per room. No server, no sleeping."""
