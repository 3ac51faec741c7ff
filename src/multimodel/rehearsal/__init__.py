"""A route of a policy, rehearsed in virtual time: the shipped engine, no network, no key, no waiting.

- ``vendors``: scripted vendors, which :mod:`multimodel.testing.simulation` gives to everybody.
- ``scenario``: what is rehearsed: who is out, when and how, how many calls come, how fast vendors answer.
- ``stage``: the route's targets as a scenario has them, keys or not.
- ``play``: the calls. ``figures``: what became of them.
- ``picture``, ``svg``: who answered over time, drawn.
"""
