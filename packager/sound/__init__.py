"""Sound: one pass measures, a second one levels it to the target and encodes it once for every rung."""
