"""`python -m controller.cli`, for a process that starts another verb."""

from controller.cli import main

if __name__ == "__main__":
    main()
