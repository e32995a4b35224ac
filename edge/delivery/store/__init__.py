"""Where bytes and their descriptions are kept: the index of stored responses, the RAM tier, the disk tier."""
