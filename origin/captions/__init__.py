"""Captions: WebVTT files of a video's creator, one a language, checked and written anew before anybody plays them."""
