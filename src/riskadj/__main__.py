"""python -m riskadj, for where the command is not on the path."""

from riskadj.cli import main

if __name__ == "__main__":
    main()
