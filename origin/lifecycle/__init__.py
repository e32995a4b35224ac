"""The life of a video: states and their transitions, publishing, changing, deleting without leaving a zombie."""
