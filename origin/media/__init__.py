"""The media shield: published files of a video from the object store, as PoPs and players fetch them."""
