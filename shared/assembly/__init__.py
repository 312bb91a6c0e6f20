"""Assembly: the services of a registry put together, for requests and for what runs behind them."""
