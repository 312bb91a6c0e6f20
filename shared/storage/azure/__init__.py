"""Adapters of the ports for one account of Azure Storage; the only room that knows its SDKs."""
