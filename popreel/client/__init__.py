"""A client of the public API, as an app would be: chunked uploads that survive restarts of what they talk to.

upload.py sends one file: init -> parts, a few at a time -> complete -> follow the status until it plays.
"""
