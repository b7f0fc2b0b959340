"""Fitting: change a request to what a model accepts, before it is sent.

`table` has what models and hosts take. `parameters` has the names of everything that can be refused. `chat`,
`messages` and `generate` apply the table to the three formats that providers speak.
"""
