"""Drivers perform what the engine decides: on the caller's thread, on an event loop, or in virtual time.

They are the only modules with a clock. Each holds the client's lock around every step of the engine and
closes what it opened, however the caller leaves.
"""
