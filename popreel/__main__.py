"""`python -m popreel`: the same as the `popreel` command."""

from popreel.cli import main

main()
