"""For people who develop or try TickStockPL: servers, a simulated market, replay. Never imported by the service."""
