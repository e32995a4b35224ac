"""What each `popreel` command does, one module per subject; popreel/cli.py only declares them."""
