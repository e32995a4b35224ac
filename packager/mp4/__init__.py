"""Fragmented MP4 (ISO/IEC 14496-12): a small writer that gives exact control of cuts, offsets and prefixes."""
