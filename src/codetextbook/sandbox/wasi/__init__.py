"""Tier D: programs and their judges in CPython for WebAssembly, for systems that have none of the kernel's own layers."""
