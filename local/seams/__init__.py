"""The places where the emulator is changed.

Each module changes one thing and first asserts the exact shape that it relies on, so that another
version of the emulator stops the start with a clear error and not a run with a wrong answer.
"""
