"""What runs inside the sandboxed child: probe, decode, shape, encode. packager.engine starts it, never imports it."""
