"""The plate hotel from the outside: submit its runs by the names of its guide. The hardware is the agent's."""
