"""Receivers that are not ours, as small models: what each insists on, and what it answers.

Each is written anew from its public source or its documentation, which its docstring names. A model
is given the very request that the registry would send, and says the status of its answer and what
it has set going.
"""
