"""The walls around the encoder child: parent-death signal, rlimits, no network, Landlock, seccomp."""
