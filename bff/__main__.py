"""`python -m bff`: the command line."""

from bff.cli import main

if __name__ == "__main__":
    main()
