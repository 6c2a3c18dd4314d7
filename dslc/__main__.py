"""`python -m dslc` and the `dslc` command."""

from __future__ import annotations

from dslc.cli.group import dslc


def main() -> None:
    """Run the command line and leave with its exit code."""
    dslc.main(prog_name="dslc")


if __name__ == "__main__":
    main()
