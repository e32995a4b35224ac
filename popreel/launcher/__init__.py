"""The launcher: one supervisor process that starts, watches and stops everything on one machine.

platform.py says what there is, supervisor.py keeps it running, run.py is the process around both.
"""
