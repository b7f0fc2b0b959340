"""Fitting: a request is changed to what a model takes, before it is sent.

`table` has what models and hosts take. `parameters` has the names of everything that can be refused. `chat`,
`messages` and `generate` apply the table to the three formats that providers speak.
"""
