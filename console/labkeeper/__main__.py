"""`python -m labkeeper`: the same as the `labkeeper` command."""

from labkeeper.cli import main

if __name__ == "__main__":
    main()
