"""First-party plugins, by kind. They use only the public API of metapipe."""
