"""Lists of videos for viewers: made in the PoP's own process while its catalogue is small, in one beside it after."""
